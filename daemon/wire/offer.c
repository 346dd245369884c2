#include "wire/offer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "wire/element.h"
#include "wire/ns.h"

#define NAMES_MAX 64 /* of one list; servers offer 2 to 10 */

struct name {
	const char *name;
	uint32_t bit;
};

static const struct name mechanisms[] = {
	{ "PLAIN", MECH_PLAIN },
	{ "SCRAM-SHA-1", MECH_SHA1 },
	{ "SCRAM-SHA-256", MECH_SHA256 },
	{ "SCRAM-SHA-512", MECH_SHA512 },
	{ "SCRAM-SHA-1-PLUS", MECH_SHA1_PLUS },
	{ "SCRAM-SHA-256-PLUS", MECH_SHA256_PLUS },
	{ "SCRAM-SHA-512-PLUS", MECH_SHA512_PLUS },
};

static const struct name tokens[] = {
	{ "HT-SHA-256-NONE", HT_NONE },
	{ "HT-SHA-256-ENDP", HT_ENDP },
	{ "HT-SHA-256-EXPR", HT_EXPR },
};

static const struct name bindings[] = {
	{ "tls-server-end-point", CB_ENDP },
	{ "tls-exporter", CB_EXPR },
};

static uint32_t find(const struct name *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i].name, name) == 0)
			return names[i].bit;
	return 0;
}

static uint32_t offer_mechanism(const char *name)
{
	return find(mechanisms, ARRAY_SIZE(mechanisms), name);
}

uint32_t offer_token_mechanism(const char *name)
{
	return find(tokens, ARRAY_SIZE(tokens), name);
}

void offer_deinit(struct offer *o)
{
	for (size_t i = 0; i < PROFILES; i++)
		free(o->lists[i]);
	*o = (struct offer){ 0 };
}

struct names {
	char *name[NAMES_MAX];
	size_t n;
};

static void names_deinit(struct names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->name[i]);
}

static int by_octets(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void join(struct buf *b, struct names *l)
{
	qsort(l->name, l->n, sizeof(l->name[0]), by_octets);
	for (size_t i = 0; i < l->n; i++)
		buf_addf(b, "%s%s", i ? "\x1e" : "", l->name[i]);
}

static uint32_t read_mechanisms(xmpp_stanza_t *list, const char *ns, struct names *ret)
{
	xmpp_stanza_t *el = element_child(list, "mechanism", ns);
	uint32_t bits = 0;

	for (; el && ret->n < NAMES_MAX; el = element_next(el, "mechanism", ns)) {
		char *name = element_text(el);
		size_t len = strlen(name);
		uint32_t bit = offer_mechanism(name);

		if (!bit && len > 5 && strcmp(name + len - 5, "-PLUS") == 0)
			bit = MECH_OTHER_PLUS;
		bits |= bit;
		ret->name[ret->n++] = name;
	}
	return bits;
}

static uint32_t read_bindings(xmpp_stanza_t *list, struct names *ret)
{
	xmpp_stanza_t *el = element_child(list, "channel-binding", NS_CB);
	uint32_t bits = 0;

	for (; el && ret->n < NAMES_MAX; el = element_next(el, "channel-binding", NS_CB)) {
		const char *type = element_attr(el, "type");
		uint32_t bit = find(bindings, ARRAY_SIZE(bindings), type);

		bits |= bit ? bit : CB_OTHER;
		ret->name[ret->n++] = xstrdup(type);
	}
	return bits;
}

static void read_inline(struct offer *o, xmpp_stanza_t *authentication)
{
	xmpp_stanza_t *in = element_child(authentication, "inline", NS_SASL2);
	xmpp_stanza_t *bind = element_child(in, "bind", NS_BIND2);
	xmpp_stanza_t *el = element_child(element_child(bind, "inline", NS_BIND2), "feature", NS_BIND2);

	o->resume = element_child(in, "sm", NS_SM) != NULL;
	o->bind = bind != NULL;
	for (; el; el = element_next(el, "feature", NS_BIND2)) {
		o->bind_sm |= strcmp(element_attr(el, "var"), NS_SM) == 0;
		o->bind_carbons |= strcmp(element_attr(el, "var"), NS_CARBONS) == 0;
	}
	el = element_child(element_child(in, "fast", NS_FAST), "mechanism", NS_FAST);
	for (int i = 0; el && i < NAMES_MAX; el = element_next(el, "mechanism", NS_FAST), i++) {
		_cleanup_(freep) char *name = element_text(el);

		o->fast |= offer_token_mechanism(name);
	}
}

void offer_read(struct offer *o, xmpp_stanza_t *features)
{
	xmpp_stanza_t *list[PROFILES] = {
		[SASL1] = element_child(features, "mechanisms", NS_SASL),
		[SASL2] = element_child(features, "authentication", NS_SASL2),
	};
	static const char *const ns[PROFILES] = { NS_SASL, NS_SASL2 };
	xmpp_stanza_t *cb = element_child(features, "sasl-channel-binding", NS_CB);
	_cleanup_(names_deinit) struct names types = { .n = 0 };

	offer_deinit(o);
	o->bindings = read_bindings(cb, &types);
	for (size_t i = 0; i < PROFILES; i++) {
		_cleanup_(names_deinit) struct names names = { .n = 0 };
		struct buf text = { 0 };

		o->mechanisms[i] = read_mechanisms(list[i], ns[i], &names);
		join(&text, &names);
		if (cb) {
			buf_adds(&text, "\x1f");
			join(&text, &types);
		}
		o->lists[i] = buf_steal(&text);
	}
	read_inline(o, list[SASL2]);
}

/* "1" is the version of these words. */
char *offer_text(const struct offer *o)
{
	return xasprintf("1 %" PRIx32 " %" PRIx32 " %" PRIx32 " %" PRIx32 " %d%d%d%d%d", o->mechanisms[SASL1],
			 o->mechanisms[SASL2], o->bindings, o->fast, o->resume, o->bind, o->bind_sm, o->bind_carbons,
			 o->sm);
}

bool offer_parse(struct offer *o, const char *text)
{
	char flags[6] = "", end = '\0';
	uint32_t m1, m2, cb, fast;

	offer_deinit(o);
	if (sscanf(text, "1 %8" SCNx32 " %8" SCNx32 " %8" SCNx32 " %8" SCNx32 " %5[01]%c", &m1, &m2, &cb, &fast, flags,
		   &end) != 5 ||
	    strlen(flags) != 5)
		return false;
	*o = (struct offer){
		.mechanisms = { m1, m2 },
		.bindings = cb,
		.fast = fast,
		.resume = flags[0] == '1',
		.bind = flags[1] == '1',
		.bind_sm = flags[2] == '1',
		.bind_carbons = flags[3] == '1',
		.sm = flags[4] == '1',
	};
	return true;
}
