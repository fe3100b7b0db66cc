#!/usr/bin/env bash
# Builds the Debian package of this tree, for the machine's own Debian, and prints where it is: dist/l3ctl_VERSION_ARCHITECTURE.deb
#
#   build.sh [VERSION] [FOLDER]     default: the tree's own version, and its folder dist
set -euo pipefail
umask 022
cd "$(dirname "$0")/../.."
version=${1:-$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' l3ctl/__init__.py)}
folder=$(realpath -m "${2:-dist}")
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
tree="$made/l3ctl-$version"
mkdir -p "$tree" "$folder"
cp -a pyproject.toml constraints.txt LICENSE README.md bpf configs docs l3ctl "$tree"
find "$tree" -name __pycache__ -prune -exec rm -rf {} +
cp -a configs/debian "$tree/debian"
cat > "$tree/debian/changelog" <<-CHANGELOG
	l3ctl ($version) bookworm; urgency=medium

	  * As the tree stands at version $version.

	 -- The l3ctl founders <l3ctl@example.net>  $(date --rfc-email --date "@${SOURCE_DATE_EPOCH:-$(stat -c %Y l3ctl/__init__.py)}")
CHANGELOG
(cd "$tree" && dpkg-buildpackage --build=binary --no-sign > "$made/log" 2>&1) || { tail -n 40 "$made/log" >&2; echo "deb: the build failed; its last lines are above" >&2; exit 1; }
mv "$made"/l3ctl_*.deb "$folder/"
echo "$folder/l3ctl_${version}_$(dpkg --print-architecture).deb"
