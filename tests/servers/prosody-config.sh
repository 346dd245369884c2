#!/bin/sh
# prosody-config.sh DIR DOMAIN PORT TLSPORT: write DIR/prosody.cfg.lua, and DIR/certs when it is missing.
# Then: prosody -F --config DIR/prosody.cfg.lua
#
# Environment: SMACKS_SECONDS (how long a lost session can be resumed), SMACKS_QUEUE (unacknowledged stanzas before it
# cannot), SASL2=1 (SASL2, Bind2 and FAST, by prosody-modules), BINDINGS ("type"; list: channel bindings), PROTOCOL (of TLS), MAM_PAGE (largest page), RETENTION (of archives), OFFLINE=1 (offline storage besides the archive), PUSH=1 (XEP-0357, by prosody-modules), EXTRA
# ("mod"; list of further modules), DISABLE ("mod"; list of modules to do without), CERT and KEY (files), LOGLEVEL.
set -e
HERE=$(cd "$(dirname "$0")" && pwd)
DIR=$1 DOM=$2 C2S=$3 C2STLS=$4
mkdir -p "$DIR/data"
if [ -z "$CERT" ] && [ ! -f "$DIR/certs/fullchain.crt" ]; then
	sh "$HERE/mkca.sh" "$DIR/certs" "$DOM" >"$DIR/mkca.log" 2>&1 || { cat "$DIR/mkca.log" >&2; exit 1; }
fi
DISABLED='"offline";'
[ -z "$OFFLINE" ] || DISABLED=
DISABLED="$DISABLED $DISABLE"
PLUGINS=
if [ -n "$SASL2" ]; then
	sh "$HERE/prosody-sasl2.sh" "$DIR/plugins"
	PLUGINS="plugin_paths = { \"$DIR/plugins\" }"
	EXTRA="$EXTRA \"sasl2\"; \"sasl2_bind2\"; \"sasl2_sm\"; \"sasl2_fast\";"
fi
[ -z "$PUSH" ] || EXTRA="$EXTRA \"cloud_notify\";"
CB=
if [ -n "$BINDINGS" ]; then
	mkdir -p "$DIR/plugins"
	cp "$HERE/mod_channel_binding.lua" "$DIR/plugins/"
	PLUGINS="plugin_paths = { \"$DIR/plugins\" }"
	EXTRA="$EXTRA \"channel_binding\";"
	CB="channel_bindings = { $BINDINGS } channel_binding_certificate = \"${CERT:-$DIR/certs/fullchain.crt}\""
fi
sed -e "s#@BINDINGS@#$CB#g" -e "s#@PROTOCOL@#${PROTOCOL:+; protocol = \"$PROTOCOL\"}#g" -e "s#@DIR@#$DIR#g" -e "s#@DOM@#$DOM#g" -e "s#@C2S@#$C2S#g" -e "s#@C2STLS@#$C2STLS#g" \
	-e "s#@CERT@#${CERT:-$DIR/certs/fullchain.crt}#g" -e "s#@KEY@#${KEY:-$DIR/certs/server.key}#g" \
	-e "s#@SMACKS_SECONDS@#${SMACKS_SECONDS:-600}#g" -e "s#@SMACKS_QUEUE@#${SMACKS_QUEUE:-5000}#g" \
	-e "s#@MAM_PAGE@#${MAM_PAGE:-250}#g" -e "s#@RETENTION@#${RETENTION:-never}#g" \
	-e "s#@PLUGINS@#$PLUGINS#g" -e "s#@EXTRA@#$EXTRA#g" -e "s#@DISABLED@#$DISABLED#g" -e "s#@LOGLEVEL@#${LOGLEVEL:-info}#g" \
	"$HERE/prosody.cfg.lua.in" >"$DIR/prosody.cfg.lua"
