#!/bin/sh
# tests/fuzz/run.sh [SECONDS [TARGET...]]: build the targets for libFuzzer with ASan and UBSan, and run each for SECONDS
# (default 15), from its corpus in the tree. What is found new stays in build-fuzz/found/TARGET; a crash is put there as
# crash-*: give it a name, add it to corpus-TARGET, and it is replayed in every run from then on.
# Ends with `N passed, N failed`. Exit status 77: there is no clang with libFuzzer.
HERE=$(cd "$(dirname "$0")" && pwd)
TOP=$(dirname "$(dirname "$HERE")")
cd "$TOP" || exit 1
seconds=${1:-15}
[ $# = 0 ] || shift
targets=${*:-compose leaf login page sidecar stanza tokenizer wal}
B=build-fuzz
FLAGS=-fsanitize=fuzzer-no-link

if ! echo 'int LLVMFuzzerTestOneInput(void); int LLVMFuzzerTestOneInput(void) { return 0; }' |
	clang -fsanitize=fuzzer,address -x c -o /dev/null - 2>/dev/null; then
	echo "fuzz: skipped: no clang with libFuzzer"
	exit 77
fi
if [ ! -f $B/build.ninja ]; then
	CC=clang meson setup $B -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false \
		-Dc_args="$FLAGS" >$B.log 2>&1 || { cat $B.log; exit 1; }
fi
rm -f $B.log
ninja -C $B fuzz-targets >$B/build.log 2>&1 || { grep -A5 -E 'error|FAILED' $B/build.log | head -40; exit 1; }

export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
# one FOUND: libFuzzer writes new inputs to the first directory and reads all
one() {
	mkdir -p "$B/found/$1"
	"$B/tests/fuzz/fuzz-$1" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=8192 -print_final_stats=1 \
		-artifact_prefix="$B/found/$1/" "$B/found/$1" "$HERE/corpus-$1" >"$B/$1.log" 2>&1
	echo $? >"$B/$1.status"
}

# two at a time: that many cores CI has
passed=0 failed=0
set -- $targets
while [ $# -gt 0 ]; do
	pair=$1
	one "$1" &
	shift
	if [ $# -gt 0 ]; then
		pair="$pair $1"
		one "$1" &
		shift
	fi
	wait
	for t in $pair; do
		runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$B/$t.log")
		if [ "$(cat "$B/$t.status")" = 0 ]; then
			passed=$((passed + 1))
			echo "fuzz-$t: ${runs:-?} runs, nothing found"
		else
			failed=$((failed + 1))
			echo "fuzz-$t: FAILED"
			grep -v '^#' "$B/$t.log" | tail -n 40
		fi
	done
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
