#!/bin/sh
# SPDX-License-Identifier: MIT
# What is written from tables agrees with them: docs/options.md and contrib/jobd.conf with config/config.def,
# docs/metrics.md with worker/metrics.def.
#   generated.sh [--write] JOBD [DIRECTORY]     --write: writes them anew instead
write=
[ "$1" = --write ] && write=1 && shift
jobd=$1
cd "${2:-$(dirname "$0")/../..}" || exit 1
bad=0

# check FILE FLAG: what jobd prints for FLAG is what FILE holds.
check() {
    new=$("$jobd" "$2") && [ -n "$new" ] || { echo "$jobd $2 failed"; bad=1; return; }
    if [ -n "$write" ]; then
        printf '%s\n' "$new" >"$1"
    elif ! printf '%s\n' "$new" | diff -u "$1" -; then
        echo "$1 is not what the table says: run tests/lint/generated.sh --write $jobd"
        bad=1
    fi
}

check docs/options.md --print-markdown
check docs/metrics.md --print-metrics
check contrib/jobd.conf --print-sample
exit "$bad"
