#!/bin/sh
# quickstart.sh [--keep]: see varve at work, in one command and about a minute.
#
# Installs what is missing from Debian, builds, starts a Prosody of its own on loopback with an archive of 5,000
# messages, and syncs it; then messages arrive live and answers are sent, varved is killed with -9 while it sends,
# messages arrive meanwhile, and everything is there exactly once after a restart that resumed the session. Nothing outside of a temporary
# directory and the build directory is touched, and nothing is left running, unless --keep is given.
HERE=$(cd "$(dirname "$0")" && pwd)
TOP=$(dirname "$HERE")
cd "$TOP" || exit 1
. "$TOP/tests/lib/packages.sh"

keep=
case ${1-} in
'') ;;
--keep) keep=yes ;;
--help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
*) echo "unknown option $1; see --help" >&2; exit 2 ;;
esac

export LC_ALL=C.UTF-8
bold='' dim='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then
	bold=$(printf '\033[1m') dim=$(printf '\033[2m') plain=$(printf '\033[0m')
fi
step() {
	printf '\n%s* %s%s\n' "$bold" "$*" "$plain"
}
typed() { # show a command as somebody would type it, on lines of 80 columns
	line='$'
	printf '%s' "$dim"
	for word in "$@"; do
		case $word in
		*[!A-Za-z0-9@%+=:,./_-]*) [ $# = 1 ] || word="\"$word\"" ;;
		esac
		if [ ${#line} -gt 1 ] && [ $((${#line} + ${#word})) -gt 76 ]; then
			printf '%s \\\n' "$line"
			line='   '
		fi
		line="$line $word"
	done
	printf '%s%s\n' "$line" "$plain"
}
ctl() { # and run it
	typed varvectl "$@"
	varvectl --no-pager "$@"
}
die() {
	printf '\nquickstart: %s\n' "$*" >&2
	[ ! -s "$DEMO/varved.log" ] || { echo "the end of varved's log:" >&2; tail -n 15 "$DEMO/varved.log" >&2; }
	exit 1
}

DEMO=$(mktemp -d "${TMPDIR:-/tmp}/varve-demo.XXXXXX") || exit 1
prosody='' varved='' kept=
cleanup() {
	[ -z "$kept" ] || return 0
	[ -z "$varved" ] || kill -9 "$varved" 2>/dev/null
	[ -z "$prosody" ] || kill "$prosody" 2>/dev/null
	wait 2>/dev/null
	rm -rf "$DEMO"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

step "Packages"
install_packages "$DEMO/apt.log" $PACKAGES_BUILD $PACKAGES_DEMO || exit 1
echo "  all there"
PY=$(python_with sqlite3 ssl asyncio) || exit 1
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$TOP/tests/lib"
demo() {
	command=$1
	shift
	"$PY" -m varvetest.demo "$command" "$@"
}

step "Build"
if [ ! -f build-quickstart/build.ninja ]; then
	meson setup build-quickstart -Dtests=false >"$DEMO/build.log" 2>&1 || { tail -n 20 "$DEMO/build.log"; die "meson failed"; }
fi
ninja -C build-quickstart daemon/varved daemon/varve-wire ipc/varvectl >"$DEMO/build.log" 2>&1 ||
	{ grep -v '^\[' "$DEMO/build.log" | head -n 40; die "the build failed"; }
PATH="$TOP/build-quickstart/ipc:$TOP/build-quickstart/daemon:$PATH"
echo "  varved, varve-wire and varvectl, in build-quickstart/"

step "A Prosody on loopback, with an archive"
demo prepare "$DEMO" || die "Prosody could not be configured"
. "$DEMO/env"
# A session of their own: with --keep they outlive the terminal
setsid prosody -F --config "$DEMO/server/prosody.cfg.lua" >"$DEMO/prosody.out" 2>&1 </dev/null &
prosody=$!
demo wait "$DEMO" || { cat "$DEMO/prosody.out"; die "Prosody did not start"; }
echo "  $ME@$DOMAIN has $MESSAGES messages with $CONTACTS contacts in the last $YEARS years"

export XDG_DATA_HOME="$DEMO/data" XDG_CONFIG_HOME="$DEMO/config" XDG_RUNTIME_DIR="$DEMO/run"
mkdir -p "$XDG_DATA_HOME" "$XDG_CONFIG_HOME" "$XDG_RUNTIME_DIR"
chmod 700 "$XDG_RUNTIME_DIR"
start_varved() {
	setsid varved >>"$DEMO/varved.log" 2>&1 </dev/null &
	varved=$!
	tries=0
	until varvectl -q status >/dev/null 2>&1; do
		kill -0 "$varved" 2>/dev/null || die "varved did not start"
		tries=$((tries + 1))
		[ $tries -lt 200 ] || die "varved does not answer"
		sleep 0.05
	done
}
# until the session is online, and N messages are stored
wait_for_messages() {
	tries=0
	until varvectl --json=short status 2>/dev/null | demo session | grep -q "^online .*messages=$1\$"; do
		tries=$((tries + 1))
		[ $tries -lt 200 ] || die "still waiting for message $1: $(varvectl --json=short status | demo session)"
		sleep 0.05
	done
}

step "varved starts, and is told of the account"
start_varved
typed varvectl account add "$ME@$DOMAIN" "--server=127.0.0.1:$TLSPORT" --tls=direct "--ca-file=$CA"
printf '%s\n' "$PASSWORD" >"$DEMO/password"
varvectl account add "$ME@$DOMAIN" --server="127.0.0.1:$TLSPORT" --tls=direct --ca-file="$CA" --password-fd=3 \
	3<"$DEMO/password" || die "the account was refused"
rm -f "$DEMO/password"

step "The first sync"
began=$(date +%s%N)
typed varvectl sync wait
varvectl --timeout=60 sync wait # shows a progress bar on a terminal
status=$?
took=$((($(date +%s%N) - began) / 1000000))
[ $status = 0 ] || die "the sync did not come to its end"
echo "  $MESSAGES messages in $took ms"
ctl status
ctl sync coverage
typed varvectl ls
varvectl --no-pager ls >"$DEMO/ls"
head -n 12 "$DEMO/ls"
[ "$(wc -l <"$DEMO/ls")" -le 12 ] || echo "  ..."
ctl history "$FRIEND@$DOMAIN" -n 6

step "$FRIEND writes, and it is here"
demo say "$DEMO" "Are you there?" "I am testing this new daemon." || die "$FRIEND could not write"
wait_for_messages $((MESSAGES + 2))
ctl history "$FRIEND@$DOMAIN" -n 2

step "An answer"
ctl send "$FRIEND@$DOMAIN" "Yes, and I am testing it too." --id=answer-1 --wait=sent || die "the answer was not sent"
echo "  the same again, as a script would that did not hear the first time:"
ctl send "$FRIEND@$DOMAIN" "Yes, and I am testing it too." --id=answer-1 || die "the answer was not known"

step "Found as soon as it is there; and on the disk nobody can read it"
ctl search new daemon
typed "grep -r 'new daemon' $XDG_DATA_HOME $XDG_CONFIG_HOME"
grep -r "new daemon" "$XDG_DATA_HOME" "$XDG_CONFIG_HOME" && die "the archive can be read"
echo "  not a word: the archive is encrypted (README.md says what that protects)"

step "Three messages, kill -9 in the middle of it, and $FRIEND writes on"
for n in 1 2 3; do
	ctl send "$FRIEND@$DOMAIN" "Sent and killed, $n" --id="killed-$n" || die "varved did not take message $n"
done
typed kill -9 "$varved"
kill -9 "$varved"
wait "$varved" 2>/dev/null
varved=
demo say "$DEMO" "Did it just die?" "I will write anyway." "Let us see." || die "$FRIEND could not write"
echo "  $FRIEND wrote three messages while nobody was there"

step "varved starts again"
start_varved
wait_for_messages $((MESSAGES + 9))
line=$(varvectl --json=short status | demo session)
case $line in
*'resumed=true'*' binds=1 '*) echo "  it resumed the session that it had when it was killed" ;;
*) die "the session was not resumed: $line" ;;
esac
varvectl --timeout=20 send "$FRIEND@$DOMAIN" "Sent and killed, 3" --id=killed-3 --wait=sent >/dev/null ||
	die "what was taken on before the kill was not sent after it"
ctl status
ctl history "$FRIEND@$DOMAIN" -n 7

step "Is everything there, and nothing twice?"
varvectl sync now >/dev/null
varvectl --timeout=30 sync wait || die "the last sync did not come to its end"
typed varvectl export -O export.jsonl
varvectl --json=short export -O "$DEMO/export.jsonl" >/dev/null || die "the export failed"
demo verify "$DEMO" "$DEMO/export.jsonl" || die "varve and the server disagree"

if [ -n "$keep" ]; then
	kept=yes
	# Short lines, which a terminal does not break: what is long stands in a file.
	cat >"$DEMO/try" <<ENV
export XDG_DATA_HOME="$XDG_DATA_HOME" XDG_CONFIG_HOME="$XDG_CONFIG_HOME"
export XDG_RUNTIME_DIR="$XDG_RUNTIME_DIR"
PATH="$TOP/build-quickstart/ipc:$TOP/build-quickstart/daemon:\$PATH"
${FRIEND}_says() { PYTHONPATH="$TOP/tests/lib" "$PY" -m varvetest.demo say "$DEMO" "\$@"; }
start_prosody() { setsid prosody -F --config "$DEMO/server/prosody.cfg.lua" >>"$DEMO/prosody.out" 2>&1 </dev/null & }
chat() { /usr/bin/python3 "$TOP/docs/examples/chat.py" "\$@"; }
finish() { kill \$(cat "$XDG_DATA_HOME/varve/lock" "$DEMO/server/prosody.pid"); sleep 1; rm -r "$DEMO"; }
ENV
	step "It goes on running. In this terminal, or another one, type:"
	cat <<TRY
  . $DEMO/try

  and then, say:
  varvectl status                         varvectl doctor
  varvectl ls                             varvectl monitor
  varvectl history $FRIEND@$DOMAIN         varvectl sync gaps
  varvectl search train                   varvectl keys
  varvectl send $FRIEND@$DOMAIN "hello"
  ${FRIEND}_says "hello"                      # writes to you

  chat                                    # docs/examples/chat.py
  busctl --address=unix:path=\$XDG_RUNTIME_DIR/varve/bus tree org.varve.Varve1

  Should one of the two not run any more (lock and unlock need no restart):
  varved                                  start_prosody

  When you have seen enough:
  finish
TRY
else
	step "Done; all of it is cleaned away. (--keep leaves it running, to play with.)"
fi
