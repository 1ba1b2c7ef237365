#!/bin/sh
# SPDX-License-Identifier: MIT
# What is written from tables agrees with them: docs/options.md and contrib/jobd.conf with config/config.def,
# docs/metrics.md with worker/metrics.def, docs/man with all of them, the table of jobctl's commands and the headers.
#   generated.sh [--write] JOBD [DIRECTORY]     --write: writes them anew instead
write=
[ "$1" = --write ] && write=1 && shift
jobd=$1
cd "${2:-$(dirname "$0")/../..}" || exit 1
bad=0

# check FILE FLAG [PROGRAM]: what jobd (or another program) prints for FLAG is what FILE holds.
check() {
    new=$("${3:-$jobd}" "$2") && [ -n "$new" ] || { echo "${3:-$jobd} $2 failed"; bad=1; return; }
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
check docs/man/jobq.conf.5.scd --print-man
jobctl=$(dirname "$jobd")/jobctl
[ ! -x "$jobctl" ] || check docs/man/jobctl.1.scd print-man "$jobctl"

# libjobq(3): the part that functions.awk takes out of the headers.
functions() {
    awk -f docs/man/functions.awk include/jobq/client.h include/jobq/job.h include/jobq/error.h include/jobq/api.h
}
with_functions() {
    sed '/^# FUNCTIONS$/q' docs/man/libjobq.3.scd
    functions
    echo
    sed -n '/^# EXAMPLE$/,$p' docs/man/libjobq.3.scd
}
check docs/man/libjobq.3.scd - with_functions
exit "$bad"
