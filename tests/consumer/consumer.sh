#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the package into a private directory, moves it, and builds and runs a stranger's program against it: by CMake
# and by pkg-config, shared and static, in C and (where there is a compiler) C++. Looks at what the libraries export.
#   consumer.sh BUILD-DIRECTORY THIS-DIRECTORY CMAKE CC
set -eu
build=$1
here=$2
cmake=$3
cc=$4
work=$(mktemp -d "${TMPDIR:-/var/tmp}/jobq-consumer.XXXXXX")
trap 'rm -rf "$work"' EXIT

fail() {
    echo "consumer: $1"
    exit 1
}

for component in library devel; do
    "$cmake" --install "$build" --component "$component" --prefix "$work/first" >"$work/log" || fail "$(cat "$work/log")"
done
mv "$work/first" "$work/moved"
root=$work/moved
libdir=$(dirname "$(find "$root" -name libjobq.a)")
[ -e "$libdir/libjobq.so.0" ] || fail "no libjobq.so.0"
[ -e "$libdir/libjobq.so" ] || fail "no libjobq.so"
[ -e "$root/include/jobq/jobq.h" ] || fail "no jobq/jobq.h"
left=$(find "$root" -type f ! -path "$root/include/jobq/*.h" ! -name 'libjobq*' ! -name 'jobq*.cmake' ! -name jobq.pc ! -path "$root/share/man/man[37]/*")
[ -z "$left" ] || fail "installed besides: $left"

# ---- what is exported ----
dynamic=$(nm -D --defined-only "$libdir/libjobq.so" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }')
static=$(nm -g --defined-only "$libdir/libjobq.a" 2>/dev/null | awk 'NF == 3 { print $3 }')
others=$(printf '%s\n%s\n' "$dynamic" "$static" | grep -v '^jobq_' || true)
[ -z "$others" ] || fail "exported besides jobq_*: $others"
for name in $(sed -n 's/.*JOBQ_API.*[ *]\(jobq_[a-z_]*\)(.*/\1/p' "$root"/include/jobq/*.h); do
    echo "$dynamic" | grep -qx "$name" || fail "libjobq.so lacks $name"
    echo "$static" | grep -qx "$name" || fail "libjobq.a lacks $name"
done
[ "$(echo "$dynamic" | wc -l)" -ge 15 ] || fail "only exports: $dynamic"
needed=$(readelf -d "$libdir/libjobq.so" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -vE '^(libhiredis|libc|ld-linux[^.]*)\.so' || true)
[ -z "$needed" ] || fail "libjobq.so needs $needed"
readelf -d "$libdir/libjobq.so" | grep -q 'SONAME.*libjobq\.so\.0' || fail "another soname"
! readelf -d "$libdir/libjobq.so" | grep -qE 'RPATH|RUNPATH' || fail "libjobq.so has a path of the build"

# expect_run PROGRAM shared|static: it works, and is what it is meant to be.
expect_run() {
    LD_LIBRARY_PATH=$libdir "$1" | grep -q '^unreachable: ' || fail "$1 does not work"
    if [ "$2" = shared ]; then
        readelf -d "$1" | grep -q 'libjobq\.so\.0' || fail "$1 is not linked with the shared library"
    else
        ! readelf -d "$1" | grep -q libjobq || fail "$1 is not linked statically"
    fi
}

# ---- CMake ----
for form in shared static; do
    use_static=OFF
    [ "$form" = shared ] || use_static=ON
    { "$cmake" -S "$here/project" -B "$work/cmake-$form" -DCMAKE_C_COMPILER="$cc" -DCMAKE_PREFIX_PATH="$root" \
        -DJOBQ_USE_STATIC=$use_static && "$cmake" --build "$work/cmake-$form"; } >"$work/log" 2>&1 || fail "$(cat "$work/log")"
    expect_run "$work/cmake-$form/stranger" "$form"
done

# ---- pkg-config ----
PKG_CONFIG_PATH=$libdir/pkgconfig
export PKG_CONFIG_PATH
[ "$(pkg-config --modversion jobq)" = "$(sed -n 's/.*JOBQ_VERSION "\(.*\)"/\1/p' "$root/include/jobq/api.h")" ] || fail "version of jobq.pc"
source=$here/project/stranger.c
# shellcheck disable=SC2046
"$cc" "$source" -o "$work/pc-shared" $(pkg-config --cflags --libs jobq)
expect_run "$work/pc-shared" shared
mkdir "$work/only-static"
cp "$libdir/libjobq.a" "$work/only-static"
# shellcheck disable=SC2046
"$cc" "$source" -o "$work/pc-static" $(pkg-config --cflags jobq) -L"$work/only-static" \
    $(pkg-config --static --libs jobq | sed "s:-L$root[^ ]*::")
expect_run "$work/pc-static" static
compilers=$cc
for cxx in c++ g++ clang++; do
    if command -v "$cxx" >/dev/null && echo '#include <cstdint>' | "$cxx" -x c++ -fsyntax-only - 2>/dev/null; then
        # shellcheck disable=SC2046
        "$cxx" -x c++ -std=c++17 "$source" -o "$work/cxx" $(pkg-config --cflags --libs jobq)
        expect_run "$work/cxx" shared
        compilers="$compilers $cxx"
        break
    fi
done

# ---- the programs of the documents, built by the lines beside them ----
repository=$(cd "$here/../.." && pwd)
# What a reader types, with more warnings.
cc() {
    command cc -Wall -Wextra -Werror "$@"
}
# build_as_written DOCUMENT PATTERN: runs the one line of the document that begins with PATTERN and names no other.
build_as_written() {
    line=$(sed -nE "s/^.?($2[^\`]*).*/\\1/p" "$repository/$1")
    [ "$(echo "$line" | wc -l)" = 1 ] && [ -n "$line" ] || fail "$1 has not one line that begins with $2"
    (cd "$work" && eval "$line") >"$work/log" 2>&1 || fail "$1: $line: $(cat "$work/log")"
}
# save_as_shown DOCUMENT FILE: the block of code that the reader saves under that name.
save_as_shown() {
    awk -v first="\`\`\`c $2" '$0 == first { on = 1; next } /^```/ { on = 0 } on' "$repository/$1" >"$work/$2"
    [ -s "$work/$2" ] || fail "$1 shows no $2"
}
save_as_shown README.md first.c
build_as_written README.md 'cc first\.c '
save_as_shown docs/handlers.md hello.c
build_as_written docs/handlers.md 'cc -shared '
nm -D --defined-only "$work/hello.so" | grep -q ' jobq_module_v1$' || fail "docs/handlers.md makes no module"

export LD_LIBRARY_PATH="$libdir" JOBQ_REDIS="unix://$work/redis.sock"
! said=$("$work/a.out" 2>&1) || fail "README's program is content without a Redis"
case $said in *"$work/redis.sock"*) ;; *) fail "README's program does not say what is wrong: $said" ;; esac
redis-server --port 0 --unixsocket "$work/redis.sock" --dir "$work" --save '' --daemonize no >"$work/redis.log" &
redis=$!
trap 'kill "$redis" 2>/dev/null; wait "$redis"; rm -rf "$work"' EXIT
tries=0
until [ "$(redis-cli -s "$work/redis.sock" ping 2>&1)" = PONG ]; do
    tries=$((tries + 1))
    [ $tries -lt 5000 ] && kill -0 "$redis" || fail "redis-server: $(cat "$work/redis.log")"
done
said=$("$work/a.out" 2>&1) || fail "README's program: $said"
[ "$said" = ok ] || fail "README's program says $said"
[ "$(redis-cli -s "$work/redis.sock" xlen 'jobq:{default:0}:ready:normal')" = 1 ] || fail "README's program stored nothing"
echo "consumer: CMake and pkg-config, shared and static, with $compilers; the documents' programs as written"
