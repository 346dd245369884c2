# Sourced by tests/run.sh and data/quickstart.sh: install from Debian what is missing, and nothing else.

PACKAGES_BUILD="gcc libc6-dev meson ninja-build pkg-config libsystemd-dev libsqlite3-dev libsodium-dev libstrophe-dev libexpat1-dev
	libssl-dev libgsasl-dev libinih-dev zlib1g-dev" # zlib: Debian 13's libstrophe.pc requires it, its package does not
PACKAGES_DEMO="prosody lua-dbi-sqlite3 python3 python3-gi openssl procps ca-certificates"
PACKAGES_COMPILE="libcmocka-dev scdoc" # with those of BUILD: the tests
PACKAGES_TEST="python3-pytest python3-pytest-xdist python3-slixmpp python3-dbus python3-gi systemd libglib2.0-bin dbus-bin
	dbus-daemon iproute2 prosody-modules ejabberd erlang-p1-sqlite3 sqlite3 g++ qtbase5-dev tmux zsh fish nodejs"
PACKAGES_FUZZ="clang libclang-rt-dev"

# missing_packages NAME...: those that are not installed
missing_packages() {
	for p in "$@"; do
		case $(dpkg-query -W -f '${Status}' "$p" 2>/dev/null) in
		*' installed') ;;
		*) printf '%s ' "$p" ;;
		esac
	done
}

# install_packages LOG NAME...: as root, or with sudo. Daemons among them are not started: the tests start their own.
install_packages() {
	log=$1
	shift
	command -v dpkg-query >/dev/null || { echo "this is no Debian: please install $*" >&2; return 0; }
	missing=$(missing_packages "$@")
	[ -n "$missing" ] || return 0
	echo "installing from Debian: $missing" | fold -s -w 78
	sudo=
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null || { echo "not root, and no sudo: please install $missing" >&2; return 1; }
		sudo=sudo
	fi
	policy=
	if [ ! -e /usr/sbin/policy-rc.d ]; then # invoke-rc.d(8): 101 = do not start services
		policy=/usr/sbin/policy-rc.d
		printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
		$sudo chmod 755 $policy
	fi
	status=0
	{ $sudo apt-get update -q &&
		$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing; } >"$log" 2>&1 </dev/null || status=1
	[ -z "$policy" ] || $sudo rm -f "$policy"
	[ $status = 0 ] || { tail -n 20 "$log" >&2; echo "apt-get failed; the whole output is in $log" >&2; }
	return $status
}

# python_with MODULE...: the python3 that has them; where another one shadows Debian's in PATH, Debian's
python_with() {
	for candidate in /usr/bin/python3 python3; do
		ok=yes
		for m in "$@"; do
			"$candidate" -c "import importlib.util, sys; sys.exit(importlib.util.find_spec('$m') is None)" 2>/dev/null || ok=no
		done
		[ $ok = no ] || { echo "$candidate"; return 0; }
	done
	echo "no python3 with $*" >&2
	return 1
}
