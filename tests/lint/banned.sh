#!/bin/sh
# SPDX-License-Identifier: MIT
# Functions that product code does not call. A line that frees what a library allocated with malloc() says so with
# a comment that begins with "lib:".
#   banned.sh [DIRECTORY]
cd "${1:-$(dirname "$0")/../..}" || exit 1
bad=0

# without_comments FILE: the same lines, comments blanked; lines marked "lib:" are left out altogether.
without_comments() {
    awk '
        /\/\* lib:/ { print ""; next }
        {
            line = $0; out = ""
            while (line != "") {
                if (inside) {
                    end = index(line, "*/")
                    if (end == 0) { line = ""; break }
                    line = substr(line, end + 2); inside = 0
                } else {
                    start = index(line, "/*"); slash = index(line, "//")
                    if (slash && (!start || slash < start) && substr(line, slash - 1, 1) != ":") {
                        out = out substr(line, 1, slash - 1); line = ""
                    } else if (start) {
                        out = out substr(line, 1, start - 1); line = substr(line, start + 2); inside = 1
                    } else { out = out line; line = "" }
                }
            }
            print out
        }' "$1"
}

# check FILE WORDS: fails when one of them is called.
check() {
    found=$(without_comments "$1" | grep -nE "(^|[^A-Za-z0-9_>.\"])($2)[[:space:]]*\(" | sed "s|^|$1:|")
    [ -z "$found" ] || { echo "$found"; bad=1; }
}

never='strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|atof|strtok|alloca|setjmp|longjmp|system|popen|sleep|usleep'
memory='malloc|calloc|realloc|reallocarray|strdup|strndup|free'
for file in $(find include base broker config client-lib worker admin contrib -name '*.[ch]' 2>/dev/null); do
    words=$never
    case $file in
        base/mem.c | worker/handlers/* | contrib/*) ;;
        *) words="$words|$memory" ;;
    esac
    case $file in
        admin/* | contrib/* | */main.c | main.c) ;;
        *) words="$words|printf|puts|putchar" ;;
    esac
    check "$file" "$words"
done
exit "$bad"
