#include "wire/choice.h"

#include <string.h>

static const struct way {
	const char *name;
	uint32_t mechanism;
	enum strength strength;
	bool plus;
} ways[] = {
	/* strongest first */
	{ "SCRAM-SHA-512-PLUS", MECH_SHA512_PLUS, STRENGTH_SHA2_PLUS, true },
	{ "SCRAM-SHA-256-PLUS", MECH_SHA256_PLUS, STRENGTH_SHA2_PLUS, true },
	{ "SCRAM-SHA-1-PLUS", MECH_SHA1_PLUS, STRENGTH_SHA1_PLUS, true },
	{ "SCRAM-SHA-512", MECH_SHA512, STRENGTH_SHA2, false },
	{ "SCRAM-SHA-256", MECH_SHA256, STRENGTH_SHA2, false },
	{ "SCRAM-SHA-1", MECH_SHA1, STRENGTH_SHA1, false },
	{ "PLAIN", MECH_PLAIN, STRENGTH_PLAIN, false },
};

static const struct token_way {
	const char *name;
	uint32_t ht;
	uint32_t binding;
} token_ways[] = {
	/* strongest first */
	{ "HT-SHA-256-EXPR", HT_EXPR, CB_EXPR },
	{ "HT-SHA-256-ENDP", HT_ENDP, CB_ENDP },
	{ "HT-SHA-256-NONE", HT_NONE, 0 },
};

static bool by_token(const struct offer *o, const struct choice_limits *l, struct choice *ret)
{
	uint32_t have = offer_token_mechanism(l->token_mechanism);

	for (size_t i = 0; i < ARRAY_SIZE(token_ways); i++) {
		const struct token_way *t = &token_ways[i];

		if (t->ht != have || !(o->fast & have) || (l->avoid & have) || (t->binding & ~l->bindings))
			continue;
		/* One from before the first login with a binding would be the way around it. */
		if (!t->binding && l->pin >= STRENGTH_SHA1_PLUS)
			continue;
		*ret = (struct choice){
			.profile = SASL2, .mechanism = t->name, .gs2 = "", .binding = t->binding, .token = true,
		};
		return true;
	}
	return false;
}

/* The header that says what we think of channel binding (RFC 5802 section 6, XEP-0440 section 3). CHOICE_E_LISTS. */
static int read_bindings(const struct offer *o, enum profile profile, uint32_t ours, struct choice *ret)
{
	bool plus = o->mechanisms[profile] & MECH_ANY_PLUS;
	uint32_t both = o->bindings & ours;

	/* Rule 5. */
	if (o->bindings && !plus)
		return CHOICE_E_LISTS;
	/* Rule 4; with SASL1 it is an older server, that names its bindings nowhere. */
	if (plus && !o->bindings && profile == SASL2)
		return CHOICE_E_LISTS;
	ret->binding = both & CB_EXPR ? CB_EXPR : both & CB_ENDP;
	ret->gs2 = ours && !plus ? "y,," : "n,,"; /* rules 2 and 3 */
	/* Rule 6 in the form of XEP-0474 section 7. */
	ret->must_hash = o->bindings && !both && !(o->bindings & CB_ENDP);
	return 0;
}

static int by_password(const struct offer *o, enum profile profile, const struct choice_limits *l, struct choice *ret)
{
	struct choice c = { .profile = profile };
	int r;

	if (!o->mechanisms[profile])
		return CHOICE_E_NONE;
	r = read_bindings(o, profile, l->bindings, &c);
	if (r != 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		const struct way *w = &ways[i];

		if (!(o->mechanisms[profile] & w->mechanism) || (w->plus && !c.binding) ||
		    (w->strength == STRENGTH_PLAIN && (!l->allow_plain || c.must_hash)))
			continue;
		/* The rest of the list is weaker still. */
		if (w->strength < l->pin)
			return CHOICE_E_WEAKER;
		c.mechanism = w->name;
		c.strength = w->strength;
		if (w->plus)
			c.gs2 = c.binding == CB_EXPR ? "p=tls-exporter,," : "p=tls-server-end-point,,";
		else
			c.binding = 0;
		*ret = c;
		return 0;
	}
	return CHOICE_E_NONE;
}

static const char *token_to_ask(const struct offer *o, const struct choice_limits *l, const struct choice *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(token_ways) && l->may_ask && c->profile == SASL2; i++) {
		const struct token_way *t = &token_ways[i];

		/* A server that names its bindings, and this one not, does not mean it (Prosody's mod_sasl2 of 2023). */
		if (o->bindings && (t->binding & ~o->bindings))
			continue;
		if ((o->fast & t->ht) && !(l->avoid & t->ht) && !(t->binding & ~l->bindings) && t->binding >= c->binding)
			return t->name;
	}
	return NULL;
}

int choice_make(const struct offer *o, const struct choice_limits *l, struct choice *ret)
{
	struct choice one, two;
	int r1, r2;

	if (by_token(o, l, ret))
		return 0;
	r2 = by_password(o, SASL2, l, &two);
	r1 = by_password(o, SASL1, l, &one);
	if (r2 == CHOICE_E_LISTS)
		return r2;
	if (r2 == 0 && (r1 != 0 || two.strength >= one.strength)) {
		*ret = two;
		ret->request_token = token_to_ask(o, l, &two);
		return 0;
	}
	/* Without SASL2, what SASL1 is refused for is the reason; else the more telling one. */
	if (r1 != 0)
		return r1 == CHOICE_E_NONE && o->mechanisms[SASL2] ? r2 : r1;
	*ret = one;
	return 0;
}

bool choice_same(const struct choice *a, const struct choice *b)
{
	return a->profile == b->profile && strcmp(a->mechanism, b->mechanism) == 0 && strcmp(a->gs2, b->gs2) == 0 &&
	       a->binding == b->binding;
}

bool choice_may_guess(const struct choice *c)
{
	/* PLAIN is the password itself. */
	return c->token || c->strength > STRENGTH_PLAIN;
}
