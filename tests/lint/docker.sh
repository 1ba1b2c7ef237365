#!/bin/sh
# SPDX-License-Identifier: MIT
# No container can be built where these tests run; but what the Containerfile and the compose file name is there, and
# their steps are those that scripts/test-packages tries.
#   docker.sh [DIRECTORY]
cd "${1:-$(dirname "$0")/../..}" || exit 1
file=contrib/docker/Containerfile
compose=contrib/docker/compose.yaml
bad=0

complain() {
    echo "$1"
    bad=1
}

[ "$(grep -c '^FROM debian:\${DEBIAN}-slim' $file)" = 2 ] || complain "$file: two stages of one Debian"
grep -q '^RUN scripts/package --yes --output /packages$' $file || complain "$file does not build by scripts/package"
[ -x scripts/package ] || complain "there is no scripts/package"
# Flags that the script knows.
for flag in $(sed -n 's/^RUN scripts\/package//p' $file | tr ' ' '\n' | grep '^--'); do
    scripts/package --help | grep -q -- "$flag" || complain "scripts/package has no $flag"
done
for package in $(grep -o '/packages/[a-z0-9-]*_' $file | sed 's:/packages/::; s:_$::'); do
    grep -qE "jobq_package\([a-z_]+ $package " cmake/JobqPackages.cmake || complain "$file installs $package, which is not made"
done
user=$(sed -n 's/^USER //p' $file | tail -n 1)
grep -q "^u $user " contrib/systemd/jobq.sysusers || complain "$file: USER $user is not the packages' user"
grep '^COPY' $file | grep -v -- '--from' | while read -r _ from _; do
    [ -e "$from" ] || echo "$file copies $from, which is not there"
done | grep . && bad=1
for path in $(sed -n 's/^ *- \(\.[^:]*\):.*/\1/p; s/^ *dockerfile: */..\/..\//p' $compose); do
    [ -e "contrib/docker/$path" ] || complain "$compose names $path, which is not there"
done
for image in $(sed -n 's/^ *image: //p' $compose); do
    case $image in jobq | *:[0-9]*) ;; *) complain "$compose: $image has no version" ;; esac
done
exit "$bad"
