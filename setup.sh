#!/bin/sh
# Installs what is missing: the Debian packages of packages.txt, and the Python packages of requirements.txt into .venv.
# On another system it names the missing programs and what they are for, and changes nothing.
set -eu
cd "$(dirname "$0")"
PATH="$PATH:/usr/sbin"

wanted=$(grep -v '^#' packages.txt)
codename=$(. /etc/os-release 2>/dev/null && echo "${VERSION_CODENAME:-}" || true)
if [ "$codename" = bookworm ] && command -v dpkg-query >/dev/null; then
    missing=$(echo "$wanted" | while read -r package _; do
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
    missing=$(echo "$wanted" | while read -r _ program purpose; do
        [ "$program" = - ] || command -v "$program" >/dev/null || echo "  $program: $purpose"
    done)
    if [ -n "$missing" ]; then
        printf 'error: install these programs, then run the same command again:\n%s\n' "$missing" >&2
        exit 1
    fi
fi

stamp=.venv/.complete
locked=$(sha256sum < requirements.txt)
[ -e "$stamp" ] && [ "$(cat "$stamp")" = "$locked" ] && exit 0

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
echo "Installing Python packages into .venv (some minutes the first time)"
"$python" -m venv --clear .venv
.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
echo "$locked" > "$stamp"
