#!/bin/sh
# tests/newer-sqlite.sh [--get-only] [BUILD]: run the suites that use SQLite against a newer libsqlite3 than Debian's.
#
# The cipher VFS refuses every I/O shape that it does not know, so a newer SQLite could leave an archive that does not
# open (facts/db.md section 9). Nothing of SQLite is in this tree: its source comes, by npm, out of a package that
# carries it whole, is compiled in BUILD (default: build) the way Debian does, and takes the place of the system's
# by LD_LIBRARY_PATH. Programs are not built anew: that is what an upgrade of the distribution does, too.
#
#   --get-only               stop when the library is there; its directory is the last line
#   VARVE_SQLITE_PACKAGE     another package@version (not checked against SUM)
#
# Exit status: 0 passed, 1 failed, 77 skipped because no registry can be reached.
PACKAGE=better-sqlite3@13.2.0
SUM=40487589df3496f2ee0079d22b73c63fccebe7db0e8ee9a2c42421861e321e0b # sha256 of the package
VERSION=3.54.1 # of the SQLite in it; the same as DB_SQLITE_TESTED in daemon/store/db.h

HERE=$(cd "$(dirname "$0")" && pwd)
TOP=$(dirname "$HERE")
get_only=
[ "$1" != --get-only ] || { get_only=yes; shift; }
BUILD=${1:-build}
BUILD=$(cd "$BUILD" && pwd) || exit 1

skip() {
	echo "newer SQLite: skipped: $*"
	exit 77
}

fail() {
	echo "newer SQLite: $*" >&2
	exit 1
}

package=${VARVE_SQLITE_PACKAGE:-$PACKAGE}
dir=$BUILD/newer-sqlite/$package
lib=$dir/lib

get() {
	command -v npm >/dev/null || skip "there is no npm"
	rm -rf "$dir"
	mkdir -p "$dir" || fail "cannot write to $dir"
	tgz=$(cd "$dir" && timeout 120 npm pack --silent "$package" 2>npm.log) || skip "npm cannot fetch $package"
	tgz=$dir/$(echo "$tgz" | tail -n 1)
	[ -s "$tgz" ] || skip "npm cannot fetch $package"
	if [ "$package" = "$PACKAGE" ]; then
		echo "$SUM  $tgz" | sha256sum --check --status || fail "$package is not what it was: $(sha256sum "$tgz")"
	fi
	# up to version 11 the source is a tarball inside of the package
	tar -C "$dir" -xzf "$tgz" package/deps || fail "$package has no deps/"
	if [ -f "$dir/package/deps/sqlite3.tar.gz" ]; then
		mkdir -p "$dir/package/deps/sqlite3"
		tar -C "$dir/package/deps/sqlite3" -xzf "$dir/package/deps/sqlite3.tar.gz"
	fi
	[ -f "$dir/package/deps/sqlite3/sqlite3.c" ] || fail "$package has no sqlite3.c"
}

# What PRAGMA compile_options says of Debian's, as far as it differs from SQLite's defaults
DEBIAN="-DSQLITE_SECURE_DELETE -DSQLITE_ENABLE_COLUMN_METADATA -DSQLITE_ENABLE_FTS3 -DSQLITE_ENABLE_FTS3_PARENTHESIS
	-DSQLITE_ENABLE_FTS3_TOKENIZER -DSQLITE_ENABLE_FTS4 -DSQLITE_ENABLE_FTS5 -DSQLITE_ENABLE_RTREE
	-DSQLITE_ENABLE_UNLOCK_NOTIFY -DSQLITE_ENABLE_DBSTAT_VTAB -DSQLITE_ENABLE_UPDATE_DELETE_LIMIT
	-DSQLITE_ENABLE_LOAD_EXTENSION -DSQLITE_ENABLE_MATH_FUNCTIONS -DSQLITE_ENABLE_PREUPDATE_HOOK
	-DSQLITE_ENABLE_SESSION -DSQLITE_ENABLE_STMTVTAB -DSQLITE_LIKE_DOESNT_MATCH_BLOBS -DSQLITE_USE_URI
	-DSQLITE_MAX_SCHEMA_RETRY=25 -DSQLITE_MAX_VARIABLE_NUMBER=250000 -DSQLITE_OMIT_LOOKASIDE -DSQLITE_SOUNDEX
	-DSQLITE_THREADSAFE=1 -DHAVE_ISNAN -DHAVE_FDATASYNC -DHAVE_USLEEP -DHAVE_GMTIME_R -DHAVE_LOCALTIME_R
	-DHAVE_STRCHRNUL -DHAVE_PREAD -DHAVE_PWRITE"

if [ ! -f "$lib/libsqlite3.so.0" ]; then
	get
	mkdir -p "$lib"
	# -O1: half the time of -O2, and the tests wait for the disk
	"${CC:-cc}" -O1 -w -fPIC -shared -Wl,-soname,libsqlite3.so.0 $DEBIAN -o "$lib/libsqlite3.so.new" \
		"$dir/package/deps/sqlite3/sqlite3.c" -lpthread -ldl -lm || fail "does not compile"
	rm -rf "$dir/package" "$dir"/*.tgz
	mv "$lib/libsqlite3.so.new" "$lib/libsqlite3.so.0"
fi

# Which one a program that was linked with Debian's really gets
printf '#include <sqlite3.h>\n#include <stdio.h>\nint main(void) { return puts(sqlite3_libversion()) < 0; }\n' |
	"${CC:-cc}" -x c -o "$dir/version" - -lsqlite3 || fail "cannot build a program with libsqlite3"
version=$(LD_LIBRARY_PATH=$lib "$dir/version") || fail "the library does not load"
echo "newer SQLite: $version instead of $("$dir/version")"
if [ "$package" = "$PACKAGE" ]; then
	[ "$version" = "$VERSION" ] || fail "that is not the $VERSION which was built"
	tested=$(sed -n 's/^#define DB_SQLITE_TESTED \([0-9]*\).*/\1/p' "$TOP/daemon/store/db.h")
	want=$(echo "$VERSION" | awk -F. '{ print $1 * 1000000 + $2 * 1000 + $3 }')
	[ "$tested" = "$want" ] || fail "DB_SQLITE_TESTED in daemon/store/db.h is $tested and not $want"
fi
if [ -n "$get_only" ]; then
	echo "$lib"
	exit 0
fi

rm -f "$BUILD/meson-logs/testlog.json"
# Only programs that are linked with it. Fewer histories of the engine and fewer power losses: they were all run with Debian's,
# and this is about what SQLite asks of the cipher VFS.
python3 "$HERE/lib/targets.py" --linked libsqlite3.so.0 "$BUILD" unit engine torture >"$dir/tests" && [ -s "$dir/tests" ] || fail "no tests"
VARVE_SEQUENCES=15 VARVE_SHORTS=100 VARVE_LOST=15 VARVE_SEEDS=60 LD_LIBRARY_PATH=$lib xargs -d '\n' \
	meson test -C "$BUILD" --no-rebuild --num-processes 4 --print-errorlogs <"$dir/tests"
