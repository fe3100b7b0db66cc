#!/usr/bin/env bash
# Makes a bare Debian of this machine's own release, with a systemd and nothing of l3ctl's, and beside it the Debian packages that l3ctl's
# depends on, not installed: once for each state of what goes into it. Prints its folder.
#
# The folder is in L3CTL_ROOT_CACHE (default /var/cache/l3ctl/root). Roots of earlier states are removed when a new one is whole.
# shellcheck disable=SC2016  # what is in single quotes is for apt to expand
set -euo pipefail
umask 022
here=$(cd "$(dirname "$0")" && pwd)
control="$here/../../configs/debian/control"
cache=${L3CTL_ROOT_CACHE:-/var/cache/l3ctl/root}
# shellcheck source=/dev/null
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
depends=$(sed -n 's/^Depends: //p' "$control" | tr ',' '\n' | sed -E 's/\(.*\)|\$\{.*\}//g' | xargs)
root="$cache/$suite-$(cat "$0" "$control" | sha256sum | cut -c1-16)"

fail() { echo "root: $1 (mend: $2)" >&2; exit 1; }

if [ "${1:-}" != inside ]; then
	if [ ! -d "$root" ]; then
		[ "$(id -u)" = 0 ] || fail "a root is made by root" "run as root"
		command -v mmdebstrap > /dev/null || fail "there is no mmdebstrap" "make setup, which installs what this needs"
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
# Of this machine's sources those that are Debian's own: others may need keys.
apt-get indextargets --format 'deb $(SITE) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' 'Origin: Debian' |
	grep -E " $suite(-updates|-security)? " | sort -u > "$made.list" || true
[ -s "$made.list" ] || fail "apt on this machine has no index of Debian $suite" "apt-get update"
apt-config dump Acquire | grep -iE '^Acquire::(https?::Proxy|Check-Valid-Until|Check-Date|Retries)' > "$made.conf" || true
# Its lists and the packages stay, for in the test there is no Internet.
mmdebstrap --mode=root --variant=minbase --include=systemd-sysv,dbus --aptopt="$made.conf" --skip=cleanup/apt \
	--dpkgopt=path-exclude='/usr/share/locale/*' --aptopt='APT::Install-Recommends "false"' \
	--customize-hook='echo "APT::Install-Recommends \"false\";" > "$1/etc/apt/apt.conf.d/bare"' \
	--customize-hook="chroot \"\$1\" apt-get install -y --download-only -o APT::Keep-Downloaded-Packages=true $depends" \
	"$suite" "$made" "$made.list" > "$made.log" 2>&1 || { tail -n 30 "$made.log" >&2; fail "mmdebstrap failed" "see its output above"; }
rm -f "$made.list" "$made.conf" "$made.log"
