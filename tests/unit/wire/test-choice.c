/* wire/offer.c and wire/choice.c: what is read, what is chosen of it, and what is refused. */
#include "wire-test.h"
#include "wire/choice.h"

#define STREAM_NS "xmlns:stream='http://etherx.jabber.org/streams'"
#define SASL1_OPEN "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
#define SASL2_OPEN "<authentication xmlns='urn:xmpp:sasl:2'>"
#define M(name) "<mechanism>" name "</mechanism>"
#define CB_OPEN "<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>"
#define CB(type) "<channel-binding type='" type "'/>"
#define CB_CLOSE "</sasl-channel-binding>"

static void read_features(struct offer *o, const char *inner)
{
	_cleanup_(freep) char *text = xasprintf("<stream:features " STREAM_NS ">%s</stream:features>", inner);
	xmpp_stanza_t *el = parse(text, NULL);

	offer_read(o, el);
	xmpp_stanza_release(el);
}

static const char full[] = SASL1_OPEN M("SCRAM-SHA-1") M("SCRAM-SHA-256-PLUS") M("SCRAM-SHA-256") M("PLAIN") "</mechanisms>"
	SASL2_OPEN M("SCRAM-SHA-1") M("SCRAM-SHA-1-PLUS")
	"<inline><sm xmlns='urn:xmpp:sm:3'/><bind xmlns='urn:xmpp:bind:0'><inline><feature var='urn:xmpp:carbons:2'/>"
	"<feature var='urn:xmpp:sm:3'/></inline></bind><fast xmlns='urn:xmpp:fast:0'>" M("HT-SHA-256-NONE")
	M("HT-SHA-256-EXPR") M("HT-SHA3-512-ENDP") "</fast></inline></authentication>"
	CB_OPEN CB("tls-server-end-point") CB("tls-exporter") CB_CLOSE;

TEST(features_are_read_and_remembered)
{
	_cleanup_(offer_deinit) struct offer o = { 0 }, back = { 0 };
	_cleanup_(freep) char *text = NULL, *again = NULL;

	read_features(&o, full);
	assert_int_equal(o.mechanisms[SASL1], MECH_SHA1 | MECH_SHA256 | MECH_SHA256_PLUS | MECH_PLAIN);
	assert_int_equal(o.mechanisms[SASL2], MECH_SHA1 | MECH_SHA1_PLUS);
	assert_int_equal(o.bindings, CB_ENDP | CB_EXPR);
	assert_int_equal(o.fast, HT_NONE | HT_EXPR);
	assert_true(o.resume && o.bind && o.bind_sm && o.bind_carbons);
	/* XEP-0474 section 6.3 */
	assert_string_equal(o.lists[SASL2], "SCRAM-SHA-1\x1eSCRAM-SHA-1-PLUS\x1ftls-exporter\x1etls-server-end-point");
	text = offer_text(&o);
	assert_true(offer_parse(&back, text));
	again = offer_text(&back);
	assert_string_equal(text, again);
	assert_int_equal(back.mechanisms[SASL1], o.mechanisms[SASL1]);
	assert_true(back.resume && back.bind && back.bind_sm && back.bind_carbons && !back.sm);
}

TEST(what_was_not_written_by_us_is_not_read_back)
{
	static const char *const bad[] = { "", "1", "2 1 1 1 1 00000", "1 1 1 1 1 0000", "1 1 1 1 1 000000", "1 x 1 1 1 00000",
					   "1 1 1 1 1 00000 ", "1 111111111 1 1 1 00000" };
	_cleanup_(offer_deinit) struct offer o = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(offer_parse(&o, bad[i]));
}

#define BOTH (CB_ENDP | CB_EXPR)
#define S1(m) { [SASL1] = (m) }
#define S2(m) { [SASL2] = (m) }
#define SHAS (MECH_SHA1 | MECH_SHA256)
#define PLUSES (MECH_SHA1_PLUS | MECH_SHA256_PLUS)

static const struct row {
	const char *why;
	struct offer offer;
	struct choice_limits limits;
	int result;
	const char *mechanism, *gs2, *ask;
	bool must_hash;
} rows[] = {
	{ "nothing offered", { .fast = 0 }, { .bindings = BOTH }, CHOICE_E_NONE },
	{ "only what is unknown", { .mechanisms = S1(MECH_OTHER_PLUS) }, { .bindings = BOTH }, CHOICE_E_NONE },
	{ "PLAIN needs leave", { .mechanisms = S1(MECH_PLAIN) }, { .bindings = BOTH }, CHOICE_E_NONE },
	{ "and gets it", { .mechanisms = S1(MECH_PLAIN) }, { .allow_plain = true }, 0, "PLAIN", "n,," },
	{ "the strongest, y as none can be bound", { .mechanisms = S1(SHAS | MECH_SHA512 | MECH_PLAIN) },
	  { .allow_plain = true, .bindings = BOTH }, 0, "SCRAM-SHA-512", "y,," },
	{ "n when we could not either (rule 2)", { .mechanisms = S1(SHAS) }, { .bindings = 0 }, 0, "SCRAM-SHA-256", "n,," },
	{ "the stronger binding (rule 7)", { .mechanisms = S1(SHAS | PLUSES), .bindings = BOTH }, { .bindings = BOTH }, 0,
	  "SCRAM-SHA-256-PLUS", "p=tls-exporter,," },
	{ "the end point when there is nothing else (rule 1)", { .mechanisms = S1(SHAS | PLUSES), .bindings = BOTH },
	  { .bindings = CB_ENDP }, 0, "SCRAM-SHA-256-PLUS", "p=tls-server-end-point,," },
	{ "binding before digest", { .mechanisms = S1(SHAS | MECH_SHA1_PLUS), .bindings = BOTH }, { .bindings = BOTH }, 0,
	  "SCRAM-SHA-1-PLUS", "p=tls-exporter,," },
	{ "an old server names its bindings nowhere", { .mechanisms = S1(SHAS | PLUSES) }, { .bindings = BOTH }, 0,
	  "SCRAM-SHA-256", "n,," },
	{ "a new one must (rule 4)", { .mechanisms = S2(SHAS | PLUSES) }, { .bindings = BOTH }, CHOICE_E_LISTS },
	{ "and it is no way around to offer SASL1 besides", { .mechanisms = { SHAS, SHAS | PLUSES } }, { .bindings = BOTH },
	  CHOICE_E_LISTS },
	{ "bindings without mechanisms (rule 5)", { .mechanisms = S2(SHAS), .bindings = BOTH }, { .bindings = BOTH },
	  CHOICE_E_LISTS },
	{ "the same in SASL1", { .mechanisms = S1(SHAS), .bindings = BOTH }, { .bindings = BOTH }, CHOICE_E_LISTS },
	{ "only bindings that are not ours (rule 6)", { .mechanisms = S2(SHAS | PLUSES), .bindings = CB_OTHER },
	  { .bindings = BOTH }, 0, "SCRAM-SHA-256", "n,,", NULL, true },
	{ "but not PLAIN then", { .mechanisms = S2(MECH_PLAIN | PLUSES), .bindings = CB_OTHER },
	  { .bindings = BOTH, .allow_plain = true }, CHOICE_E_NONE },
	{ "the profile that is shorter", { .mechanisms = { SHAS, SHAS } }, { .bindings = BOTH }, 0, "SCRAM-SHA-256", "y,," },
	{ "no weaker for being shorter", { .mechanisms = { SHAS, MECH_SHA1 } }, { .bindings = BOTH }, 0, "SCRAM-SHA-256",
	  "y,," },
	{ "the pin: as strong as before", { .mechanisms = S1(SHAS) }, { .pin = STRENGTH_SHA2 }, 0, "SCRAM-SHA-256", "n,," },
	{ "the pin: SHA-512 taken away is no class", { .mechanisms = S1(SHAS) }, { .pin = STRENGTH_SHA2 }, 0,
	  "SCRAM-SHA-256", "n,," },
	{ "the pin: digest", { .mechanisms = S1(MECH_SHA1) }, { .pin = STRENGTH_SHA2 }, CHOICE_E_WEAKER },
	{ "the pin: binding stripped", { .mechanisms = S1(SHAS | MECH_SHA512) },
	  { .pin = STRENGTH_SHA1_PLUS, .bindings = BOTH }, CHOICE_E_WEAKER },
	{ "the pin: PLAIN after SCRAM, allowed or not", { .mechanisms = S1(MECH_PLAIN) },
	  { .pin = STRENGTH_SHA1, .allow_plain = true }, CHOICE_E_WEAKER },
	{ "the pin holds in both profiles", { .mechanisms = { MECH_SHA1, MECH_SHA1 } }, { .pin = STRENGTH_SHA2 },
	  CHOICE_E_WEAKER },
	{ "a token is asked for, bound as well as may be", { .mechanisms = S2(SHAS), .fast = HT_NONE | HT_ENDP | HT_EXPR },
	  { .bindings = BOTH, .may_ask = true }, 0, "SCRAM-SHA-256", "y,,", "HT-SHA-256-EXPR" },
	{ "not one that did not work", { .mechanisms = S2(SHAS), .fast = HT_NONE | HT_ENDP | HT_EXPR },
	  { .bindings = BOTH, .may_ask = true, .avoid = HT_EXPR | HT_ENDP }, 0, "SCRAM-SHA-256", "y,,", "HT-SHA-256-NONE" },
	{ "not one whose binding is not among those announced", { .mechanisms = S2(SHAS | MECH_SHA256_PLUS), .bindings = CB_ENDP,
	    .fast = HT_NONE | HT_ENDP | HT_EXPR },
	  { .bindings = BOTH, .may_ask = true }, 0, "SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,", "HT-SHA-256-ENDP" },
	{ "not one that we cannot bind", { .mechanisms = S2(SHAS), .fast = HT_NONE | HT_EXPR },
	  { .bindings = CB_ENDP, .may_ask = true }, 0, "SCRAM-SHA-256", "y,,", "HT-SHA-256-NONE" },
	{ "no weaker than the login that earns it: unbound after bound",
	  { .mechanisms = S2(SHAS | PLUSES), .bindings = BOTH, .fast = HT_NONE | HT_ENDP },
	  { .bindings = BOTH, .may_ask = true }, 0, "SCRAM-SHA-256-PLUS", "p=tls-exporter,,", NULL },
	{ "as strong is fine", { .mechanisms = S2(SHAS | PLUSES), .bindings = CB_ENDP, .fast = HT_NONE | HT_ENDP },
	  { .bindings = BOTH, .may_ask = true }, 0, "SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,", "HT-SHA-256-ENDP" },
	{ "none without SASL2", { .mechanisms = S1(SHAS), .fast = HT_NONE }, { .may_ask = true }, 0, "SCRAM-SHA-256", "n,,",
	  NULL },
	{ "none without a user agent", { .mechanisms = S2(SHAS), .fast = HT_NONE }, { .bindings = 0 }, 0, "SCRAM-SHA-256", "n,,", NULL },
	{ "the token", { .mechanisms = S2(SHAS), .fast = HT_NONE | HT_EXPR },
	  { .bindings = BOTH, .token_mechanism = "HT-SHA-256-EXPR" }, 0, "HT-SHA-256-EXPR", "" },
	{ "not with another mechanism than its own", { .mechanisms = S2(SHAS), .fast = HT_NONE },
	  { .bindings = BOTH, .token_mechanism = "HT-SHA-256-EXPR" }, 0, "SCRAM-SHA-256", "y,," },
	{ "not an unbound one since there was a binding", { .mechanisms = S2(SHAS | PLUSES), .bindings = BOTH, .fast = HT_NONE },
	  { .bindings = BOTH, .token_mechanism = "HT-SHA-256-NONE", .pin = STRENGTH_SHA2_PLUS }, 0, "SCRAM-SHA-256-PLUS",
	  "p=tls-exporter,," },
	{ "and then nothing when all bindings are gone", { .mechanisms = S2(SHAS), .fast = HT_NONE },
	  { .bindings = BOTH, .token_mechanism = "HT-SHA-256-NONE", .pin = STRENGTH_SHA2_PLUS }, CHOICE_E_WEAKER },
	{ "not where it cannot be bound", { .mechanisms = S2(SHAS), .fast = HT_NONE | HT_EXPR },
	  { .bindings = CB_ENDP, .token_mechanism = "HT-SHA-256-EXPR" }, 0, "SCRAM-SHA-256", "y,," },
	{ "not where it is not answered", { .mechanisms = S2(SHAS), .fast = HT_EXPR },
	  { .bindings = BOTH, .token_mechanism = "HT-SHA-256-EXPR", .avoid = HT_EXPR }, 0, "SCRAM-SHA-256", "y,," },
	{ "not one that is nothing", { .mechanisms = S2(SHAS), .fast = HT_EXPR },
	  { .bindings = BOTH, .token_mechanism = "PLAIN" }, 0, "SCRAM-SHA-256", "y,," },
};

TEST(the_rules_of_the_choice)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];
		struct choice_limits limits = row->limits;
		struct choice c = { 0 };
		int r;

		if (!limits.token_mechanism)
			limits.token_mechanism = "";
		r = choice_make(&row->offer, &limits, &c);
		if (r != row->result)
			fail_msg("%s: %d, should be %d", row->why, r, row->result);
		if (r != 0)
			continue;
		if (strcmp(c.mechanism, row->mechanism) != 0 || strcmp(c.gs2, row->gs2) != 0 || c.must_hash != row->must_hash)
			fail_msg("%s: %s %s %d", row->why, c.mechanism, c.gs2, c.must_hash);
		if (!c.token && strcmp(row->ask ? row->ask : "", c.request_token ? c.request_token : "") != 0)
			fail_msg("%s: asks for %s", row->why, c.request_token ? c.request_token : "nothing");
		if (choice_may_guess(&c) == (strcmp(c.mechanism, "PLAIN") == 0))
			fail_msg("%s: wrong guess rule", row->why);
	}
}

TEST(a_guess_holds_only_for_the_same_login)
{
	const struct choice a = { .profile = SASL2, .mechanism = "SCRAM-SHA-256", .gs2 = "y,,", .request_token = "x" };
	struct choice b = a;

	b.request_token = NULL;
	assert_true(choice_same(&a, &b));
	b.gs2 = "n,,";
	assert_false(choice_same(&a, &b));
	b = a;
	b.profile = SASL1;
	assert_false(choice_same(&a, &b));
	b = a;
	b.mechanism = "SCRAM-SHA-1";
	assert_false(choice_same(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(features_are_read_and_remembered),
		RUN(what_was_not_written_by_us_is_not_read_back),
		RUN(the_rules_of_the_choice),
		RUN(a_guess_holds_only_for_the_same_login),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
