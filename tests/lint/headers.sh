#!/bin/sh
# SPDX-License-Identifier: MIT
# Every header compiles alone; the public ones as strict C11 and, where there is a C++ compiler, as C++17 too.
#   headers.sh CC [DIRECTORY]
cc=$1
cd "${2:-$(dirname "$0")/../..}" || exit 1
bad=0

# try TEXT COMPILER FLAGS…: an empty file that includes it.
try() {
    text=$1
    shift
    echo "$text" | "$@" -fsyntax-only -Wall -Wextra -Werror -Iinclude - || { echo "failed: $text ($*)"; bad=1; }
}

cxx=
for candidate in c++ g++ clang++; do
    if command -v "$candidate" >/dev/null && echo '#include <cstdint>' | "$candidate" -x c++ -fsyntax-only - 2>/dev/null; then
        cxx=$candidate
        break
    fi
done
libraries=$(pkg-config --cflags libpq libconfig jansson hiredis 2>/dev/null)
count=0
for header in include/jobq/*.h; do
    text="#include <jobq/$(basename "$header")>"
    try "$text" "$cc" -x c -std=c11 -pedantic
    [ -z "$cxx" ] || try "$text" "$cxx" -x c++ -std=c++17 -pedantic
    count=$((count + 1))
done
for header in $(find base broker config client-lib worker admin -name '*.h' 2>/dev/null); do
    # shellcheck disable=SC2086
    try "#include \"$header\"" "$cc" -x c -std=gnu11 -D_GNU_SOURCE -I. $libraries
    count=$((count + 1))
done
echo "$count headers, C++ by ${cxx:-nobody: no C++ compiler here}"
[ "$count" -gt 5 ] && exit "$bad"
