#!/bin/bash
# Installs the Debian packages that are named in the given lists and missing; says nothing when none is.
#
#   apt.sh LIST...
#
# A list has one package a line, then why; # begins a comment. Services that come with a package are not started.
set -euo pipefail
export LC_ALL=C DEBIAN_FRONTEND=noninteractive

wanted=$(awk '!/^#/ && NF { print $1 }' "$@")
present=" $(dpkg-query -W -f '${Package} ${db:Status-Abbrev}\n' | awk '$2 == "ii" { printf "%s ", $1 }')"
missing=
for package in $wanted; do
    [[ $present == *" $package "* ]] || missing+=" $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
    echo "These Debian packages are missing, and only root can install them: apt-get install --no-install-recommends$missing" >&2
    exit 1
fi

log=$(mktemp) made=''
trap 'rm -f $log $made' EXIT
# Debian asks this file before it starts a service; an administrator's own file stays as it is.
policy=/usr/sbin/policy-rc.d
mark='# made by the set-up of Maldon; safe to delete'
if [ ! -e $policy ] || grep -qxF "$mark" $policy; then
    made=$policy
    printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >$policy
    chmod 755 $policy
fi

apt() { apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" </dev/null >"$log" 2>&1; }
install() { apt install --no-install-recommends $missing; }
update() { echo "apt: reading the package lists"; apt update || true; } # a stranger's dead source is not our end

known=$(apt-cache show $missing 2>/dev/null | grep -c '^Package:' || true)
[ "$known" -ge "$(wc -w <<<"$missing")" ] || update
echo "apt: installing$missing"
# Lists older than the archive name files that it no longer has: read them anew, once.
install || { update; install; } || { cat "$log" >&2; exit 1; }
