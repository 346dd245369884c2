/*
 * Authentication on one stream: what to try, what to make of the answer. The rules are in wire/choice.c.
 *
 * With the header goes already what would be chosen if the server offered what it did last time. Where its features
 * differ, the keeper forgets the guess at once, before anything can come of it, and the refusal that the guess gets is
 * followed by the right one on the same stream. So a wrong guess costs a round trip, and is not made twice.
 *
 * A refusal stands against the password only on a stream where nothing was refused before: servers keep the mechanism of
 * the first try for the rest of the stream (Prosody's mod_sasl2_fast).
 */
#include <string.h>

#include "base/log.h"
#include "wire/element.h"
#include "wire/limits.h"
#include "wire/ns.h"
#include "wire/stream-private.h"
#include "wire/tls.h"

void login_deinit(struct login_state *l)
{
	offer_deinit(&l->guess);
	offer_deinit(&l->offer);
	l->patience = sd_event_source_disable_unref(l->patience);
}

static struct choice_limits limits_of(const struct stream *s, bool token)
{
	struct choice_limits l = {
		.allow_plain = s->start.allow_plain,
		.pin = s->start.pin,
		.token_mechanism = token && *s->start.token ? s->start.token_mechanism : "",
		.avoid = s->start.avoid,
		.may_ask = *s->start.user_agent != '\0',
	};
	unsigned char binding[TLS_BINDING_MAX];

	for (unsigned int type = CB_ENDP; type <= CB_EXPR; type <<= 1)
		if (transport_binding(s->transport, type, binding) > 0)
			l.bindings |= type;
	return l;
}

/* Begin with ${c}. False: the stream has failed. */
static bool send_choice(struct stream *s, const struct choice *c)
{
	struct login_state *l = &s->login;
	_cleanup_(freep) char *initial = NULL;
	unsigned char binding[TLS_BINDING_MAX];
	const struct sasl_login login = {
		.mechanism = c->mechanism,
		.user = s->user,
		.secret = c->token ? s->start.token : s->start.password,
		.gs2 = c->gs2,
		.binding = binding,
		.binding_len = transport_binding(s->transport, c->binding, binding),
	};

	s->sasl = sasl_free(s->sasl);
	if (sasl_new(&login, &s->sasl) < 0) {
		stream_fail(s, FAILURE_MECHANISM, c->mechanism, "the login mechanism does not start");
		return false;
	}
	l->choice = *c;
	s->mechanism = c->mechanism;
	initial = sasl_initial(s->sasl);
	if (c->profile == SASL2)
		sasl2_write(s, initial);
	else
		stream_writef(s, "<auth xmlns='" NS_SASL "' mechanism='%s'>%s</auth>", c->mechanism, initial);
	explicit_bzero(initial, strlen(initial));
	return true;
}

void login_guess(struct stream *s)
{
	struct login_state *l = &s->login;
	struct choice_limits limits;
	struct choice c;

	if (!l->may_guess)
		return;
	limits = limits_of(s, true);
	if (choice_make(&l->guess, &limits, &c) != 0 || !choice_may_guess(&c))
		return;
	l->guessed = send_choice(s, &c);
}

static void tell(struct stream *s, const char *offer, uint32_t pin, const char *address)
{
	struct link_record r;

	link_record_init(&r, LINK_LOGIN);
	r.login.offer = offer;
	r.login.pin = pin;
	r.login.address = address;
	stream_emit(s, &r);
	s->login.told = true;
}

void login_guess_wrong(struct stream *s)
{
	s->login.may_guess = false;
	if (s->login.wrong || !*s->start.offer)
		return;
	s->login.wrong = true;
	tell(s, "", s->start.pin, s->start.address);
}

void login_forget_address(struct stream *s)
{
	tell(s, s->login.wrong ? "" : s->start.offer, s->start.pin, "");
}

void login_remember(struct stream *s)
{
	struct login_state *l = &s->login;
	_cleanup_(freep) char *text = offer_text(&l->offer);
	uint32_t pin = l->choice.strength > s->start.pin ? l->choice.strength : s->start.pin;

	l->guessed = false;
	if (l->told || strcmp(text, s->start.offer) != 0 || pin != s->start.pin ||
	    strcmp(l->address, s->start.address) != 0)
		tell(s, text, pin, l->address);
}

/* What the server offers, for people. */
static void add_names(const struct stream *s, struct buf *text)
{
	const struct offer *o = &s->login.offer;
	const char *list = o->lists[o->mechanisms[SASL2] ? SASL2 : SASL1];

	for (size_t i = 0; list[i] && list[i] != '\x1f' && i < 300; i++)
		if (list[i] == '\x1e')
			buf_adds(text, ", ");
		else
			buf_add(text, &list[i], 1);
}

static void fail_choice(struct stream *s, int why)
{
	_cleanup_(buf_deinit) struct buf text = { 0 };
	const struct offer *o = &s->login.offer;
	const char *how = "; if its operator confirms that, accept it by giving the password again (varvectl account "
			  "password)";

	switch (why) {
	case CHOICE_E_WEAKER:
		buf_adds(&text, "the server offers only weaker ways to log in than before (");
		add_names(s, &text);
		buf_addf(&text, "): somebody may be in between; the password was not used%s", how);
		stream_fail(s, FAILURE_MECHANISM, "weaker-mechanism", text.data);
		return;
	case CHOICE_E_LISTS:
		stream_fail(s, FAILURE_MECHANISM, "channel-binding-lists",
			    "what the server says of channel binding contradicts itself (XEP-0440): it is set up wrongly, or "
			    "somebody in between has changed it; the password was not used");
		return;
	}
	/* Not about us: an operator's mistake, or a server that is half up. It may heal. */
	if (!(*o->lists[SASL1] > '\x1f' || *o->lists[SASL2] > '\x1f')) {
		stream_fail(s, FAILURE_PROTOCOL, "no-mechanisms", "the server offers no way to log in");
		return;
	}
	buf_adds(&text, "the server offers only ");
	add_names(s, &text);
	if ((o->mechanisms[SASL1] | o->mechanisms[SASL2]) & MECH_PLAIN)
		buf_adds(&text, "; PLAIN sends the password itself and is not allowed for this account");
	stream_fail(s, FAILURE_MECHANISM, "invalid-mechanism", text.data);
}

static void emit_no_token(struct stream *s, uint32_t avoid)
{
	struct link_record r;

	link_record_init(&r, LINK_TOKEN);
	r.token.avoid = s->start.avoid | avoid;
	stream_emit(s, &r);
	explicit_bzero((char *)(uintptr_t)s->start.token, strlen(s->start.token));
}

static int on_no_answer(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata)
{
	struct stream *s = userdata;

	log_info("%s was offered and is not answered: not used any more", s->mechanism);
	emit_no_token(s, offer_token_mechanism(s->mechanism));
	stream_fail(s, FAILURE_GUESS, "no-answer", "the server does not answer a login by token");
	return 0;
}

static void wait_for_token(struct stream *s)
{
	struct login_state *l = &s->login;

	l->patience = sd_event_source_disable_unref(l->patience);
	if (l->choice.token &&
	    sd_event_add_time_relative(s->event, &l->patience, CLOCK_BOOTTIME, TOKEN_ANSWER_US, 0, on_no_answer, s) < 0)
		log_debug("no timer for the token's answer");
}

/* Begin with ${c}, or go on with it when it was sent already. */
static void go(struct stream *s, const struct choice *c, bool sent)
{
	struct login_state *l = &s->login;

	if (!sent && !send_choice(s, c))
		return;
	sasl_expect_offer(s->sasl, l->offer.lists[l->choice.profile], l->choice.must_hash);
	wait_for_token(s);
}

void login_features(struct stream *s, xmpp_stanza_t *features)
{
	struct login_state *l = &s->login;
	struct choice_limits limits = limits_of(s, true);
	struct choice c;
	int r;

	offer_read(&l->offer, features);
	r = choice_make(&l->offer, &limits, &c);
	if (r != 0) {
		login_guess_wrong(s);
		fail_choice(s, r);
		return;
	}
	stream_enter(s, STREAM_AUTH);
	if (l->guessed && !choice_same(&c, &l->choice)) {
		login_guess_wrong(s);
		l->next = c;
		l->has_next = true;
		/* What this offer demands holds for the guess too, should the server take it. */
		l->choice.must_hash |= c.must_hash;
		go(s, &l->choice, true);
		return;
	}
	go(s, &c, l->guessed);
}

static void fail_auth(struct stream *s, xmpp_stanza_t *failure)
{
	const char *ns = s->login.choice.profile == SASL2 ? NS_SASL2 : NS_SASL;
	_cleanup_(freep) char *said = element_child_text(failure, "text", ns);
	const char *condition = element_condition(failure, NS_SASL);
	_cleanup_(freep) char *text = NULL;

	text = xasprintf("the server refused the login (%.64s)%s%s", condition, *said ? ": " : "", said);
	if (s->login.refused_before)
		stream_fail(s, FAILURE_GUESS, condition, text);
	else
		stream_fail(s, FAILURE_AUTH, condition, text);
}

static void on_failure(struct stream *s, xmpp_stanza_t *failure)
{
	struct login_state *l = &s->login;
	const char *condition = element_condition(failure, NS_SASL);
	struct choice_limits limits = limits_of(s, false);
	int r;

	l->patience = sd_event_source_disable_unref(l->patience);
	/* RFC 6120 section 6.5.12: not about the secret; try again later. */
	if (strcmp(condition, "temporary-auth-failure") == 0) {
		stream_fail(s, FAILURE_STREAM, condition, "the server cannot check passwords at the moment");
		return;
	}
	if (l->has_next) {
		/* What a wrong guess was about was not looked at. */
		l->has_next = false;
		l->refused_before = true;
		go(s, &l->next, false);
		return;
	}
	if (!l->choice.token) {
		fail_auth(s, failure);
		return;
	}
	log_info("the server does not take its token any more (%s): the password is used", condition);
	emit_no_token(s, 0);
	l->refused_before = true;
	r = choice_make(&l->offer, &limits, &l->next);
	if (r != 0)
		fail_choice(s, r);
	else
		go(s, &l->next, false);
}

/* The server accepted, and has proved itself: secrets are not needed any more. */
static void login_done(struct stream *s)
{
	s->login.patience = sd_event_source_disable_unref(s->login.patience);
	s->sasl = sasl_free(s->sasl);
	explicit_bzero((char *)(uintptr_t)s->start.password, strlen(s->start.password));
	explicit_bzero((char *)(uintptr_t)s->start.token, strlen(s->start.token));
}

static void on_success(struct stream *s, xmpp_stanza_t *el)
{
	bool inl = s->login.choice.profile == SASL2;
	_cleanup_(freep) char *data = inl ? element_child_text(el, "additional-data", NS_SASL2) : element_text(el);

	if (sasl_success(s->sasl, strcmp(data, "=") == 0 ? "" : data) != 0) {
		stream_fail(s, FAILURE_AUTH, "bad-server-signature",
			    s->login.choice.token ? "the server let us in without proving that it gave us the token" :
						    "the server let us in without proving that it knows the password");
		return;
	}
	login_done(s);
	if (inl)
		sasl2_success(s, el);
	else
		negotiate_restart(s);
}

static void on_challenge(struct stream *s, xmpp_stanza_t *el)
{
	_cleanup_(freep) char *challenge = element_text(el);
	_cleanup_(freep) char *response = NULL;
	int r = sasl_step(s->sasl, challenge, &response);

	/* Prosody 13 with TLS 1.2 and its own settings binds by tls-unique alone, and has no XEP-0474. */
	if (r == SASL_E_OFFER)
		stream_fail(s, FAILURE_AUTH, "offer-changed",
			    s->login.choice.must_hash ?
				    "the server binds logins to TLS only in ways that varve does not have, and does not prove that "
				    "this is all it offers (XEP-0474): it needs TLS 1.3 or tls-server-end-point, or somebody is in "
				    "between; nothing of the password was sent" :
				    "the login mechanisms that the server offers did not arrive here as it sent them (XEP-0474): "
				    "somebody is in between; nothing of the password was sent");
	else if (r != 0)
		stream_fail(s, FAILURE_AUTH, "bad-server-signature",
			    "the server does not know the password, or does not do what it offers");
	else
		stream_writef(s, "<response xmlns='%s'>%s</response>",
			      s->login.choice.profile == SASL2 ? NS_SASL2 : NS_SASL, response);
}

/* A second factor, a new password ...: nothing that a program in the background can give. */
static void on_continue(struct stream *s, xmpp_stanza_t *el)
{
	_cleanup_(freep) char *said = element_child_text(el, "text", NS_SASL2);
	xmpp_stanza_t *tasks = element_child(el, "tasks", NS_SASL2);
	_cleanup_(freep) char *task = element_child_text(tasks, "task", NS_SASL2);
	_cleanup_(freep) char *text =
		xasprintf("the server wants a further step after the password (%.40s), which varve does not know%s%s",
			  *task ? task : "unnamed", *said ? ": " : "", said);

	stream_write(s, "<abort xmlns='" NS_SASL2 "'/></stream:stream>");
	/* First: the keeper kills us when it hears of it. */
	transport_finish(s->transport, CLOSE_WAIT_US);
	stream_fail(s, FAILURE_MECHANISM, "continue", text);
}

void login_element(struct stream *s, xmpp_stanza_t *el)
{
	const char *ns = s->login.choice.profile == SASL2 ? NS_SASL2 : NS_SASL;

	if (element_is(el, "challenge", ns))
		on_challenge(s, el);
	else if (element_is(el, "success", ns))
		on_success(s, el);
	else if (element_is(el, "failure", ns))
		on_failure(s, el);
	else if (element_is(el, "continue", NS_SASL2) && s->login.choice.profile == SASL2)
		on_continue(s, el);
	else
		negotiate_unexpected(s, el);
}
