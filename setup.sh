#!/bin/sh
# Installs what is missing to `run` the pipeline (the default), to `emulate` a Raspberry Pi besides, or to `test` besides:
# Debian packages from packages.txt; Python packages from requirements.txt, for tests also from requirements-test.txt.
# On another system it names the missing programs and what they are for, and changes nothing.
set -eu
cd "$(dirname "$0")"
PATH="$PATH:/usr/sbin"

locks=requirements.txt
case ${1:-run} in
    run) needs='run' ;;
    emulate) needs='run\|emulate' ;;
    test)
        needs='run\|emulate\|test'
        locks="requirements.txt requirements-test.txt"
        ;;
    *)
        echo "usage: ./setup.sh [run|emulate|test]" >&2
        exit 1
        ;;
esac

wanted=$(grep "^\($needs\) " packages.txt)
codename=$(. /etc/os-release 2>/dev/null && echo "${VERSION_CODENAME:-}" || true)
if [ "$codename" = bookworm ] && command -v dpkg-query >/dev/null; then
    missing=$(echo "$wanted" | while read -r _ package _; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || echo "$package"
    done)
    if [ -n "$missing" ]; then
        root=""
        [ "$(id -u)" = 0 ] || root=sudo
        if [ -n "$root" ] && ! command -v sudo >/dev/null; then
            echo "error: these Debian packages are missing, and there is no sudo to install them:" $missing >&2
            exit 1
        fi
        echo "Installing Debian packages:" $missing
        $root apt-get update -qq
        # The tests start an sshd of their own on loopback: Debian's stays off, now and after a restart.
        policy=/usr/sbin/policy-rc.d
        ours=""
        if [ ! -e "$policy" ]; then
            ours=yes
            printf '#!/bin/sh\nexit 101\n' | $root install -m 755 /dev/stdin "$policy"
        fi
        $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
        [ -z "$ours" ] || $root rm "$policy"
        case $missing in *openssh-server*) $root systemctl disable ssh >/dev/null 2>&1 || true ;; esac
    fi
else
    missing=$(echo "$wanted" | while read -r _ _ program purpose; do
        [ "$program" = - ] || command -v "$program" >/dev/null || echo "  $program: $purpose"
    done)
    if [ -n "$missing" ]; then
        printf 'error: install these programs, then run the same command again:\n%s\n' "$missing" >&2
        exit 1
    fi
fi

stamp=.venv/.installed  # a checksum of each lock file that .venv was made from
if [ ! -e "$stamp" ] || ! sha256sum --check --status "$stamp" 2>/dev/null; then
    python=""
    for candidate in python3.11 python3 /usr/bin/python3; do
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
            python=$candidate
            break
        fi
    done
    if [ -z "$python" ]; then
        echo "error: Python 3.11 with venv is needed: requirements.txt is locked for it" >&2
        exit 1
    fi
    "$python" -m venv --clear .venv
    : > "$stamp"
fi

for lock in $locks; do
    if ! grep -q " $lock\$" "$stamp"; then
        echo "Installing the Python packages of $lock into .venv (some minutes the first time)"
        .venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
        sha256sum "$lock" >> "$stamp"
    fi
done
