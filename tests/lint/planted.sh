#!/bin/sh
# SPDX-License-Identifier: MIT
# The lints fail where they must: each is run over a small tree with exactly one fault.
#   planted.sh CC
cc=$1
here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d "${TMPDIR:-/var/tmp}/jobq-lint.XXXXXX") || exit 1
trap 'rm -rf "$tree"' EXIT
bad=0

# must_fail LINT FILE TEXT
must_fail() {
    rm -rf "${tree:?}"/*
    mkdir -p "$tree/include/jobq" "$tree/$(dirname "$2")"
    for name in a b c d e f; do echo '#include <stdint.h>' >"$tree/include/jobq/$name.h"; done
    lint "$1" >/dev/null 2>&1 || { echo "$1 fails without a fault"; bad=1; }
    printf '%b\n' "$3" >"$tree/$2"
    lint "$1" >/dev/null 2>&1 && { echo "$1 does not see: $3 in $2"; bad=1; }
}

lint() {
    if [ "$1" = headers ]; then sh "$here/headers.sh" "$cc" "$tree"; else sh "$here/$1.sh" "$tree"; fi
}

must_fail layers base/a.c '#include "broker/conn.h"'
must_fail layers broker/a.c '#include "worker/lease.h"'
must_fail layers worker/a.c '#include "client-lib/client.h"'
must_fail layers worker/a.c '#include "../base/mem.h"'
must_fail layers worker/handlers/a.c '#include "base/mem.h"'
must_fail layers worker/handlers/a.c '#include <jobq/client.h>'
must_fail layers include/jobq/g.h '#include "base/base.h"'
must_fail layers worker/a.h '#include <hiredis/hiredis.h>'
must_fail layers admin/a.c '#include <hiredis/hiredis.h>'
must_fail layers worker/a.c 'void *f(void *c) { return redisCommand(c, "PING"); }'
must_fail layers base/map.c '#include <libconfig.h>'
must_fail layers client-lib/a.c '#include <libpq-fe.h>'
must_fail banned base/a.c 'int f(char *s) { return atoi(s); }'
must_fail banned worker/a.c 'void f(void *p) { free(p); }'
must_fail banned worker/handlers/a.c 'void f(void) { system("x"); }'
must_fail banned broker/a.c '/* a\n comment */ int i = printf("x");'
must_fail headers worker/a.h 'struct s { uint32_t n; };'
must_fail headers include/jobq/g.h 'int f(size_t n);'
must_fail docs README.md 'See `base/nowhere.c`.'
must_fail docs README.md 'See [this](#nowhere).'
long=$(awk 'BEGIN { for (i = 0; i < 801; i++) printf "int i%d;\\n", i }')
must_fail size base/a.c "$long"
must_fail size base/a.c "int f(int x)\n{\n$(awk 'BEGIN { for (i = 0; i < 121; i++) printf "x++;\\n" }')}"
exit "$bad"
