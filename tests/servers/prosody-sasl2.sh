#!/bin/sh
# prosody-sasl2.sh PLUGINDIR: SASL2, Bind2 and FAST for the packaged Prosody 0.12.3.
# Debian's prosody-modules (hg 2023-02-23) were written for Prosody's trunk: conn:ssl_info() is missing, so that mod_sasl2
# sends no features at all over TLS; event.stream is missing, so that mod_sasl2_fast never offers anything; dates of tokens
# are fractions. Write patched copies, which plugin_paths prefers, and our own mod_sasl2_sm. Fails if a patch does not apply.
# Prosody 13 and the prosody-modules of Debian 13 fit each other as they are.
set -e
HERE=$(cd "$(dirname "$0")" && pwd)
P=$1 M=/usr/lib/prosody/modules
mkdir -p "$P"
! grep -q 'stream = attr' "$M/mod_c2s.lua" || exit 0

# patch FILE SED-ARGUMENTS...
patch() {
	file=$1
	shift
	mkdir -p "$P/$(dirname "$file")"
	sed "$@" "$M/$file" >"$P/$file"
	! cmp -s "$M/$file" "$P/$file" || { echo "the patch of $file does not apply" >&2; exit 1; }
}

patch mod_c2s.lua -e \
	's/hosts\[session.host\].events.fire_event("stream-features", { origin = session, features = features })/hosts[session.host].events.fire_event("stream-features", { origin = session, features = features, stream = attr })/'
patch mod_sasl2/mod_sasl2.lua \
	-e 's/origin\.conn:ssl_info()/origin.conn:socket():info()/' \
	-e 's/self\.userdata\["tls-unique"\]:ssl_peerfinished()/self.userdata["tls-unique"]:socket():getpeerfinished()/' \
	-e 's/origin\.conn\.ssl_peerfinished and origin\.conn:ssl_peerfinished()/origin.conn:socket().getpeerfinished and origin.conn:socket():getpeerfinished()/' \
	-e 's/if not conn\.ssl_exportkeyingmaterial then return end/local s = conn:socket(); if not s.exportkeyingmaterial then return end/' \
	-e 's/return conn:ssl_exportkeyingmaterial(/return s:exportkeyingmaterial(/'
patch mod_sasl2_fast/mod_sasl2_fast.lua \
	-e 's/dt\.datetime(token_info\.expires_at)/dt.datetime(math.floor(token_info.expires_at))/'
mkdir -p "$P/mod_sasl2_sm"
cp "$HERE/mod_sasl2_sm.lua" "$P/mod_sasl2_sm/"
