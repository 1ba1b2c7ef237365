#!/bin/sh
# SPDX-License-Identifier: MIT
# Files and functions that have grown too long to be read: over 500 lines or 60 lines is worth a look, over 800 or
# 120 fails.
#   size.sh [DIRECTORY]
cd "${1:-$(dirname "$0")/../..}" || exit 1
find include base broker config client-lib worker admin tests contrib bench -name '*.[ch]' 2>/dev/null | sort | xargs awk '
    function report(what, lines, look, fail) {
        if (lines > fail) { print "too long: " what " has " lines " lines (at most " fail ")"; bad = 1 }
        else if (lines > look) print "long: " what " has " lines " lines (aim: " look ")"
    }
    FNR == 1 { if (file != "") report(file, last, 500, 800); file = FILENAME; start = 0 }
    /^[a-z_].*\)$/ || /^[ \t].*\)$/ { name = FNR ": " $0 }
    /^\{/ { start = FNR }
    /^\}[ \t]*$/ { if (start) report(file ":" name, FNR - start - 1, 60, 120); start = 0 }
    { last = FNR }
    END { report(file, last, 500, 800); exit bad }'
