#!/usr/bin/env bash
# Makes a root with NetBox in it, from PyPI, on a Debian that has the Python it needs, with PostgreSQL and Redis from the same: once for
# each state of this script and of configuration.py. Prints the folder. Everything comes from where this machine's apt and pip look.
#
# The folder is in L3CTL_NETBOX_CACHE (default /var/cache/l3ctl/netbox). Roots of earlier states are removed when a new one is whole.
# shellcheck disable=SC2016  # what is in single quotes is for apt to expand
set -euo pipefail
umask 022
here=$(cd "$(dirname "$0")" && pwd)
cache=${L3CTL_NETBOX_CACHE:-/var/cache/l3ctl/netbox}
version=4.7.3
suite=trixie
root="$cache/$version-$(cat "$here/build.sh" "$here/inside.sh" "$here/configuration.py" | sha256sum | cut -c1-16)"

fail() { echo "netbox: $1 (mend: $2)" >&2; exit 1; }
quietly() { "$@" > "$made.log" 2>&1 || { tail -n 30 "$made.log" >&2; fail "$1 failed" "see its output above"; }; }
tell() { printf 'netbox: %4d s  %s\n' "$SECONDS" "$1" >&2; }

if [ "${1:-}" != inside ]; then
	if [ ! -d "$root" ]; then
		[ "$(id -u)" = 0 ] || fail "a root is made by root" "run as root"
		command -v mmdebstrap > /dev/null || fail "there is no mmdebstrap" "make netbox, which installs what this needs"
		mkdir -p "$cache"
		exec 9> "$cache/.lock"
		flock 9
		rm -rf "$cache"/.making* # of a build that was killed
		made="$cache/.making"
		# In namespaces of its own: however it ends, no mount and no process is left.
		[ -d "$root" ] || setpriv --pdeathsig KILL unshare --mount --propagation private --pid --fork --kill-child --mount-proc \
			"$0" inside "$made" < /dev/null 9>&- >&2
		[ -d "$root" ] || mv "$made" "$root"
		find "$cache" -mindepth 1 -maxdepth 1 ! -path "$root" ! -name .lock -exec rm -rf {} +
	fi
	echo "$root"
	exit
fi

made=$2
tell "Debian $suite"
# shellcheck source=/dev/null
mirror=$(. /etc/os-release && apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Identifier: Packages' |
	awk -v here="$VERSION_CODENAME" '$2 == here && $3 == "main" { print $1; exit }') || true
[ -n "$mirror" ] || fail "apt on this machine has no index of Debian's main archive" "apt-get update"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" > "$made.list"
quietly mmdebstrap --mode=root --variant=minbase --include=python3-venv,postgresql,redis-server \
	--dpkgopt=path-exclude='/usr/share/doc/*' --dpkgopt=path-exclude='/usr/share/man/*' --dpkgopt=path-exclude='/usr/share/locale/*' \
	"$suite" "$made" "$made.list"

tell "NetBox $version"
# What pip of this machine is told, pip in there is told too, but for packages that lie on this machine.
visible() { mkdir -p "$made$(dirname "$1")" && touch "$made$1" && mount --bind "$1" "$made$1"; }
visible /etc/resolv.conf
visible /etc/hosts
pip=()
while IFS='=' read -r key value; do
	key=${key##*.} value=${value#\'} value=${value%\'}
	case $key=$value in find-links=* | constraint=* | *file://*) continue ;; esac
	[ ! -f "$value" ] || visible "$value"
	key=${key//-/_}
	pip+=("PIP_${key^^}=$value")
done < <(/usr/bin/python3 -m pip config list | sort -u -t = -k 1,1)
mount -t proc proc "$made/proc"
mount --rbind /dev "$made/dev"
mkdir -p "$made/opt/netbox/conf"
cp "$here/configuration.py" "$made/opt/netbox/conf/"
cp "$here/inside.sh" "$made/"
quietly chroot "$made" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "${pip[@]}" bash /inside.sh install "$version"

tell "its database"
# shellcheck disable=SC2016
quietly unshare --net sh -c 'ip link set lo up && exec "$@"' sh chroot "$made" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 bash /inside.sh migrate
tell "made: $(du -shx "$made" | cut -f1)"
