# SPDX-License-Identifier: MIT
# A root of a bare Debian, made by debootstrap, in which a copy of this repository runs a command. Sourced by bash.
#
# Needs root. What it makes lies below a directory of the caller's, and goes with it; nothing is mounted outside of the
# namespace in which the command runs.

debian_mirror() {
    local found
    found=$(sed -n 's/^URIs: *\([^ ]*debian\) *$/\1/p; s/^deb \(\[[^]]*\] \)\?\([^ ]*debian\) .*/\2/p' \
        /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | head -n 1)
    echo "${found:-http://deb.debian.org/debian}"
}

# debian_run 12|13 DIRECTORY COMMAND: the command's exit status; 69 without root.
debian_run() {
    local suite mirror base=$2/debian file
    case $1 in 12) suite=bookworm ;; 13) suite=trixie ;; *) return 2 ;; esac
    [ "$(id -u)" = 0 ] || { echo 'making a root needs root' >&2; return 69; }
    mirror=$(debian_mirror)
    debootstrap --variant=minbase --include=ca-certificates "$suite" "$base" "$mirror" || return 1
    echo "deb $mirror $suite main" >"$base/etc/apt/sources.list"
    # How this machine reaches its mirror.
    for file in /etc/apt/apt.conf.d/*[Pp]roxy* /etc/resolv.conf /etc/hosts; do
        [ ! -e "$file" ] || cp "$file" "$base$file"
    done
    mkdir "$base/root/jobq"
    tar -C "$root" --exclude=./build --exclude=./.git -cf - . | tar -C "$base/root/jobq" -xf - || return 1
    env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
        "TMPDIR=$TMPDIR" "http_proxy=${http_proxy-}" "https_proxy=${https_proxy-}" \
        unshare --mount --pid --fork --kill-child --mount-proc="$base/proc" bash -c '
            set -e
            mount --rbind /dev "$1/dev"
            exec chroot "$1" env TMPDIR=/var/tmp bash -c "cd /root/jobq && apt-get update -q && $2"' _ "$base" "$3"
}
