-- Channel binding as trunk's Prosody has it, for the packaged 0.12.3, whose LuaSec exports keying material but whose
-- mod_saslauth knows only tls-unique, and which announces nothing (XEP-0440). What checks the binding is Prosody's own
-- util.sasl.scram and mod_sasl2_fast; this only hands it what both ends have in common:
--   tls-exporter          RFC 9266, by LuaSec
--   tls-server-end-point  RFC 5929, by the file of the certificate (SHA-256: ours are signed with that)
-- mod_saslauth replaces the SASL handler that mod_sasl2 has prepared; both get the bindings.
local base64 = require "util.encodings".base64;
local sha256 = require "util.hashes".sha256;
local st = require "util.stanza";

local types = module:get_option_set("channel_bindings", { "tls-exporter", "tls-server-end-point" });

local function certificate_hash()
	local file = assert(io.open(module:get_option_string("channel_binding_certificate")));
	local pem = file:read("*a");
	file:close();
	return sha256(base64.decode((pem:match("%-%-%-%-%-BEGIN CERTIFICATE%-%-%-%-%-(.-)%-%-%-%-%-END"):gsub("%s", ""))));
end

local get = {
	["tls-exporter"] = function (self)
		return (assert(self.userdata["channel"]:exportkeyingmaterial("EXPORTER-Channel-Binding", 32, "")));
	end;
	["tls-server-end-point"] = certificate_hash;
};

local function prepare(session)
	local handler = session.sasl_handler;
	handler.userdata = handler.userdata or {};
	handler.userdata["channel"] = session.conn:socket();
	for name in types do
		handler:add_cb_handler(name, function (self)
			local data = get[name](self);
			module:log("info", "checks %s %s for %s", self.selected, name, self.username or "?");
			return data;
		end);
	end
end

-- before mod_sasl2_fast looks which of its mechanisms have a binding
module:hook("advertise-sasl-features", function (event)
	prepare(event.origin);
end, 10);

local function offer(features, name, ns)
	local list = features:get_child(name, ns);
	for mechanism in (list or st.stanza("none")):childtags("mechanism") do
		local plain = mechanism:get_text():match("^SCRAM%-SHA%-%d+$");
		if plain then
			list:text_tag("mechanism", plain.."-PLUS");
		end
	end
end

module:hook("stream-features", function (event)
	local session, features = event.origin, event.features;
	if session.type ~= "c2s_unauthed" or not session.secure then return; end
	prepare(session);
	offer(features, "mechanisms", "urn:ietf:params:xml:ns:xmpp-sasl");
	offer(features, "authentication", "urn:xmpp:sasl:2");
	features:tag("sasl-channel-binding", { xmlns = "urn:xmpp:sasl-cb:0" });
	for name in types do
		features:tag("channel-binding", { type = name }):up();
	end
	features:up();
end, -10);
