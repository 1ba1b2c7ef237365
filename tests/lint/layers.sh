#!/bin/sh
# SPDX-License-Identifier: MIT
# Which room may include which, and which file may name which library. See ARCHITECTURE.md.
#   layers.sh [DIRECTORY]
cd "${1:-$(dirname "$0")/../..}" || exit 1
bad=0

complain() {
    echo "$1"
    bad=1
}

# sources ROOM: its files, without the rooms inside it that have rules of their own.
sources() {
    find "$1" -name '*.[ch]' | if [ "$1" = worker ]; then grep -v '^worker/handlers/'; else cat; fi
}

# room NAME REGEX: what its #include "…" may begin with.
room() {
    [ -d "$1" ] || return 0
    files=$(sources "$1")
    [ -n "$files" ] || return 0
    # shellcheck disable=SC2086
    found=$(grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' $files /dev/null |
        grep -vE "include[[:space:]]*\"($2)")
    [ -z "$found" ] || complain "$1 may include only \"$2…\":
$found"
}

# library NAME HEADER-REGEX FILE-REGEX: the only files of ours that may include it.
library() {
    found=$(find include base broker config client-lib worker admin -name '*.[ch]' 2>/dev/null |
        xargs grep -nE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]($2)" /dev/null |
        grep -vE "^($3):")
    [ -z "$found" ] || complain "$1 may be named only in $3:
$found"
}

room include 'jobq/'
room base 'base/'
room broker 'base/|broker/'
room client-lib 'base/|broker/|client-lib/'
room config 'base/|broker/|config/'
room worker 'base/|broker/|config/|worker/'
room worker/handlers 'worker/handlers/common/|worker/handlers/[a-z_]+/'
room admin 'base/|broker/|config/|admin/'

# The worker reads its replies; its calls belong to the connection.
library hiredis 'hiredis' '(broker/.*|worker/[a-z_]+\.c)'
calls=$(find base broker config client-lib worker admin -name '*.[ch]' 2>/dev/null |
    xargs grep -nE '\bredis(Connect|Command|Append|GetReply|Reader|Format|Buffer|vCommand|SetTimeout)[A-Za-z]*\(' /dev/null |
    grep -vE '^broker/conn[a-z_]*\.c:')
[ -z "$calls" ] || complain "hiredis may be called only in broker/conn*.c:
$calls"
library libconfig 'libconfig' 'base/conf[a-z_]*\.[ch]'
library jansson 'jansson' '(admin|worker/handlers)/.*'
library libpq 'libpq-fe|postgresql/' '(worker/executor/pg_[a-z_]*|admin/.*|worker/handlers/.*)\.[ch]'
library libvips 'vips/|glib' 'worker/handlers/avatar/.*'
library libmicrohttpd 'microhttpd' 'worker/http\.c'
library dlopen 'dlfcn' 'worker/.*'

# A handler is written as a stranger would write it.
found=$(find worker/handlers -name '*.[ch]' 2>/dev/null | xargs grep -nE '#[[:space:]]*include[[:space:]]*<jobq/' /dev/null |
    grep -v '<jobq/handler.h>')
[ -z "$found" ] || complain "a handler knows only <jobq/handler.h>:
$found"
exit "$bad"
