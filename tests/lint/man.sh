#!/bin/sh
# SPDX-License-Identifier: MIT
# The manual pages: scdoc and groff take each without a word, and the programs in them compile. What is not there is not
# asked: scdoc, groff.
#   man.sh COMPILER [DIRECTORY]
cc=$1
cd "${2:-$(dirname "$0")/../..}" || exit 1
bad=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

complain() {
    echo "$1"
    bad=1
}

for page in docs/man/*.scd; do
    if command -v scdoc >/dev/null 2>&1; then
        scdoc <"$page" >"$work/page" 2>"$work/words" || complain "$page: scdoc refuses it"
        [ ! -s "$work/words" ] || complain "$page: $(cat "$work/words")"
        if command -v groff >/dev/null 2>&1; then
            said=$(groff -man -ww -Tutf8 -K utf8 -z "$work/page" 2>&1)
            [ -z "$said" ] || complain "$page: $said"
        fi
    fi
    # The first block of code that includes something is a program.
    awk '/^```/ { inside = !inside; next } inside' "$page" >"$work/code.c"
    if grep -q '^#include' "$work/code.c"; then
        "$cc" -std=gnu11 -Wall -Wextra -Werror -fsyntax-only -Iinclude "$work/code.c" ||
            complain "$page: its program does not compile"
    fi
done
exit "$bad"
