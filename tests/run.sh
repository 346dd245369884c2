#!/bin/sh
# tests/run.sh [--all] [--sanitize] [--no-install] [--fast]: install what is missing, build, run every suite.
# The last line is `N passed, N failed`; the exit status is 0 when nothing failed.
#
#   --all         also the stories marked slow
#   --sanitize    also with a newer SQLite than Debian's, the fuzz targets for some seconds each, and a build with ASan
#                 and UBSan: unit and engine suites and one full story (what .ci/run does)
#   --fast        the suites of seconds only: units, engine, varvectl; no bus, no torture, no servers
#   --no-install  install nothing
HERE=$(cd "$(dirname "$0")" && pwd)
TOP=$(dirname "$HERE")
cd "$TOP" || exit 1
. "$HERE/lib/packages.sh"

slow='' sanitize='' install=yes stories=yes
for option in "$@"; do
	case $option in
	--all) slow=--slow ;;
	--sanitize) sanitize=yes ;;
	--fast) stories= ;;
	--no-install) install= ;;
	--help) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 0 ;;
	*) echo "unknown option $option; see --help" >&2; exit 2 ;;
	esac
done

WORK=$(mktemp -d "${TMPDIR:-/tmp}/varve-run.XXXXXX") || exit 1
trap 'rm -rf "$WORK"' EXIT
trap 'exit 130' INT TERM
export PYTHONDONTWRITEBYTECODE=1
# -O1: what the compiler saves is more than what the tests lose
SANITIZE='-Dtests=true -Doptimization=1 -Db_sanitize=address,undefined -Db_lundef=false'
began=$(date +%s)
broken=0 skipped=0
logs=

# with the seconds since the begin: where the time goes
say() {
	printf '\n== %3d s: %s\n' $(($(date +%s) - began)) "$*"
}

finish() {
	# the count needs only the standard library
	PY=$(python_with json) || { echo "0 passed, 1 failed"; exit 1; }
	say "result"
	"$PY" "$HERE/lib/count.py" "$broken" "$skipped" $logs
	exit $?
}

# What the sanitized suites and stories need.
sanitize_targets() {
	python3 "$HERE/lib/targets.py" build-sanitize unit engine
	echo daemon/varved daemon/varve-wire ipc/varvectl
}

# build DIR OPTIONS...: with $only, these targets of it
build() {
	dir=$1
	shift
	say "build in $dir"
	if [ -f "$dir/build.ninja" ]; then
		meson configure "$dir" "$@" >"$WORK/build.log" 2>&1
	else
		meson setup "$dir" "$@" >"$WORK/build.log" 2>&1
	fi && ninja -C "$dir" ${only:+$($only)} >>"$WORK/build.log" 2>&1 && { tail -n 1 "$WORK/build.log"; return 0; }
	sed -n '/^FAILED:/,$p' "$WORK/build.log" | grep -v '^\[' >"$WORK/build.failed"
	[ -s "$WORK/build.failed" ] || tail -n 20 "$WORK/build.log" >"$WORK/build.failed" # meson itself
	head -n 60 "$WORK/build.failed"
	broken=$((broken + 1))
	return 1
}

# suites DIR NAME OPTIONS...: meson test, four at a time: a third of the time they wait
suites() {
	dir=$1 name=$2
	shift 2
	say "meson test: $name ($dir)"
	rm -f "$dir/meson-logs/testlog.json"
	meson test -C "$dir" --no-rebuild --num-processes 4 --print-errorlogs "$@" >"$WORK/$name.log" 2>&1
	status=$?
	if [ ! -s "$dir/meson-logs/testlog.json" ]; then
		tail -n 20 "$WORK/$name.log"
		broken=$((broken + 1))
		return
	fi
	if [ $status = 0 ]; then
		grep -E '^ *[0-9]+/[0-9]+ ' "$WORK/$name.log"
		grep -h '^NOT TESTED: ' "$dir/meson-logs/testlog.txt"
	else
		tail -n 300 "$WORK/$name.log"
	fi
	cp "$dir/meson-logs/testlog.json" "$WORK/$name.json"
	logs="$logs $WORK/$name.json"
}

# newer_sqlite DIR: what uses SQLite, with a newer one
newer_sqlite() {
	say "newer SQLite ($1)"
	rm -f "$1/meson-logs/testlog.json"
	sh "$HERE/newer-sqlite.sh" "$1" >"$WORK/newer-sqlite.log" 2>&1
	status=$?
	if [ $status = 77 ]; then
		cat "$WORK/newer-sqlite.log"
		skipped=$((skipped + 1))
		return
	fi
	grep -E '^newer SQLite:' "$WORK/newer-sqlite.log"
	[ $status = 0 ] || tail -n 300 "$WORK/newer-sqlite.log"
	if [ ! -s "$1/meson-logs/testlog.json" ]; then
		broken=$((broken + 1))
		return
	fi
	cp "$1/meson-logs/testlog.json" "$WORK/newer-sqlite.json"
	logs="$logs $WORK/newer-sqlite.json"
}

# fuzz SECONDS: every target with libFuzzer
fuzz() {
	say "fuzz targets, $1 s each (build-fuzz)"
	sh "$HERE/fuzz/run.sh" "$1" >"$WORK/fuzz.log" 2>&1
	status=$?
	grep -v ' passed, ' "$WORK/fuzz.log"
	[ $status != 77 ] || { skipped=$((skipped + 1)); return; }
	sed -n -e 's/^fuzz-[a-z]*:.*nothing found$/{"result":"OK"}/p' -e 's/^fuzz-[a-z]*: FAILED$/{"result":"FAIL"}/p' \
		"$WORK/fuzz.log" >"$WORK/fuzz.json"
	[ -s "$WORK/fuzz.json" ] || { broken=$((broken + 1)); return; }
	logs="$logs $WORK/fuzz.json"
}

# stories DIR NAME ARGS...: pytest, six at a time: they wait more than they work
stories() {
	dir=$1 name=$2
	shift 2
	say "stories: $name ($dir)"
	PY=$(python_with pytest slixmpp dbus) || { broken=$((broken + 1)); return; }
	VARVE_BUILD="$TOP/$dir" "$PY" -m pytest -n 6 --dist load -p no:cacheprovider --rootdir "$HERE" -q --tb=short --disable-warnings \
		--durations=8 -rs --junitxml "$WORK/$name.xml" "$@"
	status=$?
	if [ -s "$WORK/$name.xml" ]; then
		logs="$logs $WORK/$name.xml"
	fi
	case $status in # 0 all passed, 1 some failed: both counted; else it did not run to its end
	0 | 1) ;;
	*) broken=$((broken + 1)) ;;
	esac
}

if [ -n "$install" ]; then
	say "packages"
	install_packages "$WORK/apt.log" $PACKAGES_BUILD $PACKAGES_COMPILE || { broken=1; finish; }
	# What the tests need to run is unpacked while they are compiled.
	install_packages "$WORK/apt-more.log" $PACKAGES_DEMO $PACKAGES_TEST ${sanitize:+$PACKAGES_FUZZ} >"$WORK/apt-more.out" 2>&1 &
	more=$!
fi

# Warnings are errors here, and not for who builds a package with a compiler that knows more of them
build build -Dtests=true -Dwerror=true
built=$?
if [ -n "$install" ]; then
	wait $more
	status=$?
	cat "$WORK/apt-more.out"
	[ $status = 0 ] || { broken=$((broken + 1)); finish; }
fi
if [ $built = 0 ]; then
	# The compiler keeps one core busy for half a minute: beside tests that wait
	[ -z "$sanitize" ] || { sh "$HERE/newer-sqlite.sh" --get-only build >/dev/null 2>&1 & }
	if [ -n "$stories" ]; then suites build all; else suites build fast --suite unit --suite check --suite engine --suite ctl; fi
	wait
	[ -z "$sanitize" ] || newer_sqlite build
	[ -z "$sanitize" ] || fuzz 4
	# The stories wait more than they work: the sanitizer build goes on beside them. It is looked at below.
	if [ -n "$sanitize" ]; then
		{ [ -f build-sanitize/build.ninja ] || meson setup build-sanitize $SANITIZE; nice ninja -j1 -C build-sanitize $(sanitize_targets); } \
			>/dev/null 2>&1 &
	fi
	[ -z "$stories" ] || stories build story $slow "$HERE/lib" "$HERE/story" "$HERE/hostile"
	wait
fi

only=sanitize_targets
if [ -n "$sanitize" ] && build build-sanitize $SANITIZE; then
	# UBSan goes on after a finding unless told otherwise
	export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
	export VARVE_SEQUENCES=60 VARVE_SHORTS=500
	suites build-sanitize sanitize --suite unit --suite engine --timeout-multiplier 6
	stories build-sanitize sanitize-story "$HERE/story/test_sync.py" --server=prosody \
		-k "test_killed_30_times or test_sent_by_another_device or test_cut_and_resumed"
fi
finish
