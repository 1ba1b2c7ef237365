#!/bin/sh
# SPDX-License-Identifier: MIT
# Every file that a document names in `backquotes` or links to exists, and every heading that a link names.
#   docs.sh [DIRECTORY]
cd "${1:-$(dirname "$0")/../..}" || exit 1
bad=0
rooms='include|base|broker|client-lib|config|worker|admin|tests|bench|contrib|docs|scripts|cmake|\.ci'
for document in *.md docs/*.md docs/*/*.md contrib/*/README.md bench/README.md; do
    [ -f "$document" ] || continue
    for path in $(grep -oE '`[^` ]+`' "$document" | tr -d '\140' | grep -E "^($rooms)/[A-Za-z0-9_./*-]+$"); do
        case $path in *NAME*) continue ;; esac
        # A pattern counts as the files it stands for.
        # shellcheck disable=SC2086
        set -- $path
        [ -e "$1" ] || { echo "$document names $path, which is not there"; bad=1; }
    done
    for path in $(grep -oE '\]\([^)#]+\)' "$document" | sed 's/^](//; s/)$//' | grep -v '^https\?:'); do
        [ -e "$(dirname "$document")/$path" ] || { echo "$document links to $path, which is not there"; bad=1; }
    done
    for link in $(grep -oE '\]\([^):]*#[^)]+\)' "$document" | sed 's/^](//; s/)$//'); do
        path=${link%%#*}
        where=$document
        [ -z "$path" ] || where=$(dirname "$document")/$path
        # As GitHub names them: small letters, no punctuation, - for spaces.
        [ -f "$where" ] && awk '/^```/ { code = !code } !code && /^#+ /' "$where" | tr 'A-Z' 'a-z' |
            sed 's/^#* //; s/[^a-z0-9 _-]//g; s/ /-/g' | grep -qxF -e "${link#*#}" ||
            { echo "$document links to $link, which is not there"; bad=1; }
    done
done
exit "$bad"
