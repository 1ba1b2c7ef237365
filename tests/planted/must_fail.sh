#!/bin/sh
# SPDX-License-Identifier: MIT
# Passes when one test of a program fails, for the reason expected.
#   must_fail.sh PROGRAM TEST TEXT
output=$("$1" --filter "planted/$2" --jobs 1 --timeout 120 2>&1)
status=$?
[ "$status" = 1 ] && printf '%s\n' "$output" | grep -q "$3" && exit 0
printf '%s\nexit status %s: a planted fault was not seen (expected: %s)\n' "$output" "$status" "$3"
exit 1
