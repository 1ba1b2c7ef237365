# SPDX-License-Identifier: MIT
# Packages that the scripts need: which are missing, and how they come. Sourced by bash.
#
# The names are those of Debian 12 and 13. What is there already, from wherever, is not asked for: each need is judged
# by what it is for (a command, a library that pkg-config knows, a file), not by who installed it.

# need KIND NAME PACKAGE
packages_needs_build=(
    'cmd gcc gcc' 'file /usr/include/stdio.h libc6-dev' 'cmd make make' 'cmd cmake cmake'
    'cmd pkg-config pkg-config' 'lib hiredis libhiredis-dev' 'lib libpq libpq-dev'
    'lib jansson libjansson-dev' 'lib libconfig libconfig-dev'
    'lib libcurl libcurl4-openssl-dev' 'lib libmicrohttpd libmicrohttpd-dev'
)
packages_needs_servers=(
    'cmd redis-server redis-server' 'file /usr/lib/postgresql/*/bin/initdb postgresql'
)
packages_needs_images=('lib vips libvips-dev' 'lib zlib zlib1g-dev')
packages_needs_mail=(
    'file /usr/lib/python3/dist-packages/aiosmtpd/smtp.py python3-aiosmtpd' 'cmd openssl openssl'
)
packages_needs_tests=(
    'lib criterion libcriterion-dev' 'cmd clang clang' 'cmd systemd-analyze systemd'
    'cmd prometheus prometheus'
    'file /usr/lib/python3/dist-packages/prometheus_client/parser.py python3-prometheus-client'
    'cmd zsh zsh' 'cmd fish fish' 'cmd curl curl' 'cmd scdoc scdoc'
)
packages_needs_debian=('cmd debootstrap debootstrap' 'cmd unshare util-linux' 'cmd wget wget')
packages_needs_package=('cmd dpkg-shlibdeps dpkg-dev' 'cmd file file' 'cmd scdoc scdoc')
# The compiler's own run-time libraries come with a package named by its version on one Debian and not on another.
packages_needs_long=('cmd valgrind valgrind' 'fuzzer clang libclang-rt-dev')

packages_have() {
    case $1 in
        cmd) command -v "$2" >/dev/null 2>&1 ;;
        lib) command -v pkg-config >/dev/null 2>&1 && pkg-config --exists "$2" 2>/dev/null ;;
        file) compgen -G "$2" >/dev/null ;;
        fuzzer)
            echo 'int LLVMFuzzerTestOneInput(const char *d, long n); int LLVMFuzzerTestOneInput(const char *d, long n) { return d && n > 9; }' |
                clang -x c -fsanitize=fuzzer,address - -o /dev/null 2>/dev/null
            ;;
    esac
}

# packages_missing NEED…: prints the packages to install, one line, or nothing.
packages_missing() {
    local need kind what package missing=()
    for need in "$@"; do
        read -r kind what package <<<"$need"
        packages_have "$kind" "$what" || missing+=("$package")
    done
    echo "${missing[*]}"
}

# The name of a package whose name holds a version: libclang-rt-14-dev belongs to clang 14.
packages_name() {
    local version
    case $1 in
        libclang-rt-dev)
            version=$(clang -dumpversion 2>/dev/null || apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p')
            echo "libclang-rt-${version%%.*}-dev"
            ;;
        *) echo "$1" ;;
    esac
}

# Installing a server's package would start that server. Nobody here wants it: ours are private ones.
packages_apt_install() (
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
        trap 'rm -f "$policy"' EXIT
        trap 'exit 130' INT TERM
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y -q --no-install-recommends "$@"
)

# packages_install YES LOG NEED…: installs what is missing. 0: all is there. 69: something is missing, and the line to
# install it was printed. YES=1: without a question.
packages_install() {
    local yes=$1 log=$2 missing names=() name answer
    shift 2
    missing=$(packages_missing "$@")
    [ -n "$missing" ] || return 0
    for name in $missing; do names+=("$(packages_name "$name")"); done
    local line="apt-get install --no-install-recommends ${names[*]}"
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "missing here (by their Debian names): ${names[*]}" >&2
        return 69
    fi
    if [ "$(id -u)" != 0 ]; then
        echo "packages are missing; as root:" >&2
        echo "    $line" >&2
        return 69
    fi
    echo "missing packages: ${names[*]}"
    if [ "$yes" != 1 ]; then
        read -r -p "Install them now ($line)? [Y/n] " answer || answer=n
        case $answer in
            '' | [yY]*) ;;
            *)
                echo "    $line" >&2
                return 69
                ;;
        esac
    fi
    {
        packages_apt_install "${names[@]}" ||
            { apt-get update -q && packages_apt_install "${names[@]}"; }
    } >"$log" 2>&1 || {
        tail -n 15 "$log" >&2
        echo "the installation failed; the line was:" >&2
        echo "    $line" >&2
        return 69
    }
    missing=$(packages_missing "$@")
    [ -z "$missing" ] || {
        echo "still missing after the installation: $missing" >&2
        return 69
    }
}
