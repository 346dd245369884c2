#include <string.h>

#include "core/jid.h"
#include "core/text.h"
#include "wire/element.h"
#include "wire/ns.h"
#include "wire/stream-private.h"
#include "wire/tls.h"

#define MECHANISMS_MAX 32 /* of one <mechanisms/>; servers offer 2 to 10 */

void negotiate_header(struct stream *s)
{
	_cleanup_(buf_deinit) struct buf b = { 0 };
	bool secure = transport_is_secure(s->transport);

	buf_adds(&b, "<?xml version='1.0'?><stream:stream xmlns='" NS_CLIENT "' xmlns:stream='" NS_STREAM
		     "' version='1.0' xml:lang='en' to='");
	buf_add_xml(&b, s->domain);
	/* Who we are is nobody's business in clear (RFC 6120 section 4.7.1). */
	if (secure) {
		buf_adds(&b, "' from='");
		buf_add_xml(&b, s->bare);
	}
	buf_adds(&b, "'>");
	/* With the header: one flight less. Safe with Prosody and ejabberd, and refused features are seen anyway. */
	if (!secure)
		buf_adds(&b, "<starttls xmlns='" NS_TLS "'/>");
	stream_write(s, b.data);
}

static void write_resume(struct stream *s)
{
	_cleanup_(buf_deinit) struct buf b = { 0 };

	buf_addf(&b, "<resume xmlns='" NS_SM "' h='%u' previd='", s->start.sm_in);
	buf_add_xml(&b, s->start.sm_id);
	buf_adds(&b, "'/>");
	stream_write(s, b.data);
}

static void write_bind(struct stream *s)
{
	_cleanup_(buf_deinit) struct buf b = { 0 };

	free(s->bind_id);
	s->bind_id = iq_new_id(s->iqs);
	buf_addf(&b, "<iq type='set' id='%s'><bind xmlns='" NS_BIND "'>", s->bind_id);
	if (*s->start.resource) {
		buf_adds(&b, "<resource>");
		buf_add_xml(&b, s->start.resource);
		buf_adds(&b, "</resource>");
	}
	buf_adds(&b, "</bind></iq>");
	stream_enter(s, STREAM_BIND);
	stream_write(s, b.data);
}

static void fail_mechanism(struct stream *s, const char *const *offered, size_t n)
{
	_cleanup_(buf_deinit) struct buf text = { 0 };
	bool plain = false;

	buf_adds(&text, n ? "the server offers only" : "the server offers no way to log in");
	for (size_t i = 0; i < n; i++) {
		buf_addf(&text, "%s %.64s", i ? "," : "", offered[i]);
		plain |= strcmp(offered[i], "PLAIN") == 0;
	}
	if (plain)
		buf_adds(&text, "; PLAIN sends the password itself and is not allowed for this account");
	stream_fail(s, FAILURE_MECHANISM, "invalid-mechanism", text.data);
}

static void start_auth(struct stream *s, xmpp_stanza_t *features)
{
	xmpp_stanza_t *list = element_child(features, "mechanisms", NS_SASL);
	xmpp_stanza_t *el = element_child(list, "mechanism", NS_SASL);
	_cleanup_(freep) char *initial = NULL;
	char *names[MECHANISMS_MAX];
	size_t n = 0;

	for (; el && n < MECHANISMS_MAX; el = element_next(el, "mechanism", NS_SASL))
		names[n++] = element_text(el);
	s->mechanism = sasl_choose((const char *const *)names, n, s->start.allow_plain);
	if (!s->mechanism)
		fail_mechanism(s, (const char *const *)names, n);
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	if (!s->mechanism)
		return;
	if (sasl_new(s->mechanism, s->user, s->start.password, &s->sasl) < 0 ||
	    sasl_initial(s->sasl, &initial) != 0) {
		stream_fail(s, FAILURE_MECHANISM, s->mechanism, "the login mechanism does not start");
		return;
	}
	stream_enter(s, STREAM_AUTH);
	stream_writef(s, "<auth xmlns='" NS_SASL "' mechanism='%s'>%s</auth>", s->mechanism, initial);
}

static void on_features(struct stream *s, xmpp_stanza_t *features)
{
	if (transport_is_secure(s->transport)) {
		start_auth(s, features);
		return;
	}
	if (!element_child(features, "starttls", NS_TLS)) {
		stream_fail(s, FAILURE_NO_TLS, "no-starttls",
			    "the server offers no encryption (or somebody on the way removed the offer): "
			    "the password was not sent");
		return;
	}
	stream_enter(s, STREAM_STARTTLS);
}

static void on_proceed(struct stream *s)
{
	/* Whatever stands behind <proceed/> in clear is forgotten with the parser. */
	xml_restart(s->xml);
	stream_enter(s, STREAM_TLS);
	if (transport_secure(s->transport, s->domain, s->start.ca_pem, false) < 0)
		stream_fail(s, FAILURE_TLS, "", "TLS does not start");
}

static void fail_auth(struct stream *s, xmpp_stanza_t *failure)
{
	_cleanup_(freep) char *said = element_child_text(failure, "text", NS_SASL);
	const char *condition = element_condition(failure, NS_SASL);
	_cleanup_(freep) char *text = NULL;

	/* RFC 6120 section 6.5.12: not about the password; try again later. */
	if (strcmp(condition, "temporary-auth-failure") == 0) {
		stream_fail(s, FAILURE_STREAM, condition, "the server cannot check passwords at the moment");
		return;
	}
	text = xasprintf("the server refused the login (%.64s)%s%s", condition, *said ? ": " : "", said);
	stream_fail(s, FAILURE_AUTH, condition, text);
}

static void on_success(struct stream *s, xmpp_stanza_t *el)
{
	_cleanup_(freep) char *data = element_text(el);

	if (sasl_success(s->sasl, strcmp(data, "=") == 0 ? "" : data) != 0) {
		stream_fail(s, FAILURE_AUTH, "bad-server-signature",
			    "the server let us in without proving that it knows the password");
		return;
	}
	s->sasl = sasl_free(s->sasl);
	explicit_bzero((char *)(uintptr_t)s->start.password, strlen(s->start.password));
	xml_restart(s->xml);
	stream_enter(s, STREAM_RESTARTED);
	negotiate_header(s);
	/* With the header: the server had stream management when it gave us the id. One flight less. */
	if (*s->start.sm_id)
		write_resume(s);
}

static void on_challenge(struct stream *s, xmpp_stanza_t *el)
{
	_cleanup_(freep) char *challenge = element_text(el);
	_cleanup_(freep) char *response = NULL;

	if (sasl_step(s->sasl, challenge, &response) != 0) {
		stream_fail(s, FAILURE_AUTH, "bad-server-signature",
			    "the server does not know the password, or does not do what it offers");
		return;
	}
	stream_writef(s, "<response xmlns='" NS_SASL "'>%s</response>", response);
}

static void on_refused(struct stream *s, xmpp_stanza_t *failed)
{
	struct link_record r;
	const char *h = element_attr(failed, "h");
	const char *condition = element_condition(failed, NS_STANZAS_ERROR);

	link_record_init(&r, LINK_RESUME_REFUSED);
	r.resume_refused.condition = strlen(condition) <= 64 ? condition : "undefined-condition";
	r.resume_refused.has_h = *h != '\0';
	r.resume_refused.h = (uint32_t)strtoul(h, NULL, 10);
	stream_emit(s, &r);
	write_bind(s);
}

static void on_bound(struct stream *s, xmpp_stanza_t *iq)
{
	_cleanup_(freep) char *jid = element_child_text(element_child(iq, "bind", NS_BIND), "jid", NS_BIND);

	if (strcmp(element_attr(iq, "type"), "result") != 0) {
		const char *condition = element_condition(element_child(iq, "error", NS_CLIENT), NS_STANZAS_ERROR);

		stream_fail(s, FAILURE_STREAM, condition, "the server refused to bind a resource");
		return;
	}
	if (!jid_is_valid(jid) || !strchr(jid, '/')) {
		stream_fail(s, FAILURE_PROTOCOL, "invalid-jid", "the server bound a resource that is no JID");
		return;
	}
	s->full = TAKE_PTR(jid);
	session_start(s);
}

static void unexpected(struct stream *s, xmpp_stanza_t *el)
{
	_cleanup_(freep) char *text =
		xasprintf("the server sent <%.64s/> where RFC 6120 has no place for it", element_name(el));

	stream_reject(s, FAILURE_PROTOCOL, "unsupported-stanza-type", "", text);
}

static bool is_stanza(xmpp_stanza_t *el)
{
	return strcmp(element_ns(el), NS_CLIENT) == 0;
}

static void element_auth(struct stream *s, xmpp_stanza_t *el)
{
	if (element_is(el, "challenge", NS_SASL))
		on_challenge(s, el);
	else if (element_is(el, "success", NS_SASL))
		on_success(s, el);
	else if (element_is(el, "failure", NS_SASL))
		fail_auth(s, el);
	else
		unexpected(s, el);
}

/* Features of the second stream: resume was asked with its header already, else bind. */
static void element_restarted(struct stream *s, xmpp_stanza_t *el)
{
	if (!element_is(el, "features", NS_STREAM)) {
		unexpected(s, el);
		return;
	}
	s->offers_sm = element_child(el, "sm", NS_SM) != NULL;
	session_features(s, el);
	if (*s->start.sm_id)
		stream_enter(s, STREAM_RESUME);
	else
		write_bind(s);
}

void negotiate_element(struct stream *s, xmpp_stanza_t *el)
{
	switch (s->state) {
	case STREAM_FEATURES:
		if (element_is(el, "features", NS_STREAM))
			on_features(s, el);
		else
			unexpected(s, el);
		return;
	case STREAM_STARTTLS:
		if (element_is(el, "proceed", NS_TLS))
			on_proceed(s);
		else if (element_is(el, "failure", NS_TLS))
			stream_fail(s, FAILURE_NO_TLS, "failure", "the server offers encryption and then refuses it");
		else
			unexpected(s, el);
		return;
	case STREAM_AUTH:
		element_auth(s, el);
		return;
	case STREAM_RESTARTED:
		element_restarted(s, el);
		return;
	case STREAM_RESUME:
		if (element_is(el, "resumed", NS_SM))
			session_resumed(s, el);
		else if (element_is(el, "failed", NS_SM))
			on_refused(s, el);
		else
			unexpected(s, el);
		return;
	case STREAM_BIND:
		if (element_is(el, "iq", NS_CLIENT) && strcmp(element_attr(el, "id"), s->bind_id) == 0)
			on_bound(s, el);
		else if (!is_stanza(el))
			unexpected(s, el);
		return;
	case STREAM_ENABLE:
		if (element_is(el, "enabled", NS_SM) || element_is(el, "failed", NS_SM))
			session_bound(s, el);
		/* Nothing addressed to this resource is kept before it counts: the archive has it. */
		else if (!is_stanza(el))
			unexpected(s, el);
		return;
	default:
		unexpected(s, el);
	}
}
