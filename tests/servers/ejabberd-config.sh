#!/bin/sh
# ejabberd-config.sh DIR DOMAIN PORT TLSPORT HTTPPORT: write DIR/conf, the empty archive, and DIR/certs when missing.
# Then: ejabberd-run.sh DIR
#
# Environment: SMACKS_SECONDS, SMACKS_QUEUE, OFFLINE=1, PUSH=1, CERT (certificate and key in one file), LOGLEVEL: see
# prosody-config.sh. ejabberd's largest archive page is 250 and cannot be changed.
set -e
HERE=$(cd "$(dirname "$0")" && pwd)
DIR=$1 DOM=$2 C2S=$3 C2STLS=$4 HTTP=$5
mkdir -p "$DIR/conf" "$DIR/spool" "$DIR/logs"
if [ -z "$CERT" ] && [ ! -f "$DIR/certs/server.pem" ]; then
	sh "$HERE/mkca.sh" "$DIR/certs" "$DOM" >"$DIR/mkca.log" 2>&1 || { cat "$DIR/mkca.log" >&2; exit 1; }
fi
EXTRA=
[ -z "$OFFLINE" ] || EXTRA="  mod_offline: {}"
[ -z "$PUSH" ] || EXTRA="$EXTRA\\n  mod_push: {}\\n  mod_push_keepalive: {}"
sed -e "s#@DIR@#$DIR#g" -e "s#@DOM@#$DOM#g" -e "s#@C2S@#$C2S#g" -e "s#@C2STLS@#$C2STLS#g" -e "s#@HTTP@#$HTTP#g" \
	-e "s#@CERT@#${CERT:-$DIR/certs/server.pem}#g" -e "s#@SMACKS_SECONDS@#${SMACKS_SECONDS:-600}#g" \
	-e "s#@SMACKS_QUEUE@#${SMACKS_QUEUE:-5000}#g" -e "s#@EXTRA@#$EXTRA#g" -e "s#@LOGLEVEL@#${LOGLEVEL:-info}#g" \
	"$HERE/ejabberd.yml.in" >"$DIR/conf/ejabberd.yml"
[ -f "$DIR/spool/archive.db" ] || sqlite3 "$DIR/spool/archive.db" </usr/share/ejabberd/sql/lite.sql
printf '{lookup,["file","native"]}.\n' >"$DIR/conf/inetrc"
