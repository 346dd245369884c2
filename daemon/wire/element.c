#include "wire/element.h"

#include <stdlib.h>
#include <string.h>

bool element_is(xmpp_stanza_t *el, const char *name, const char *ns)
{
	return el && strcmp(element_name(el), name) == 0 && strcmp(element_ns(el), ns) == 0;
}

xmpp_stanza_t *element_child(xmpp_stanza_t *el, const char *name, const char *ns)
{
	xmpp_stanza_t *c = el ? xmpp_stanza_get_children(el) : NULL;

	while (c && !element_is(c, name, ns))
		c = xmpp_stanza_get_next(c);
	return c;
}

xmpp_stanza_t *element_next(xmpp_stanza_t *el, const char *name, const char *ns)
{
	xmpp_stanza_t *c = xmpp_stanza_get_next(el);

	while (c && !element_is(c, name, ns))
		c = xmpp_stanza_get_next(c);
	return c;
}

/* The first child that is an element in ${ns} (NULL: any) and not named ${but} (NULL: none), or NULL. */
static xmpp_stanza_t *element_any_child(xmpp_stanza_t *el, const char *ns, const char *but)
{
	xmpp_stanza_t *c = el ? xmpp_stanza_get_children(el) : NULL;

	for (; c; c = xmpp_stanza_get_next(c)) {
		if (!xmpp_stanza_is_tag(c) || (ns && strcmp(element_ns(c), ns) != 0))
			continue;
		if (but && strcmp(element_name(c), but) == 0)
			continue;
		return c;
	}
	return NULL;
}

const char *element_attr(xmpp_stanza_t *el, const char *name)
{
	return el ? str_or_empty(xmpp_stanza_get_attribute(el, name)) : "";
}

bool element_u32(xmpp_stanza_t *el, const char *name, uint32_t *ret)
{
	const char *text = element_attr(el, name);
	size_t len = strlen(text);
	unsigned long long n = strtoull(text, NULL, 10);

	/* 20 digits are more than enough for leading zeros, and do not overflow. */
	if (len == 0 || len > 19 || strspn(text, "0123456789") != len || n > UINT32_MAX)
		return false;
	*ret = (uint32_t)n;
	return true;
}

const char *element_name(xmpp_stanza_t *el)
{
	return el && xmpp_stanza_is_tag(el) ? str_or_empty(xmpp_stanza_get_name(el)) : "";
}

const char *element_ns(xmpp_stanza_t *el)
{
	return el && xmpp_stanza_is_tag(el) ? str_or_empty(xmpp_stanza_get_ns(el)) : "";
}

char *element_text(xmpp_stanza_t *el)
{
	char *text, *copy;

	/* libstrophe answers NULL for no text at all, and allocates with its context's allocator. */
	text = el && xmpp_stanza_get_children(el) ? xmpp_stanza_get_text(el) : NULL;
	copy = xstrdup(str_or_empty(text));
	if (text)
		xmpp_free(xmpp_stanza_get_context(el), text);
	return copy;
}

char *element_child_text(xmpp_stanza_t *el, const char *name, const char *ns)
{
	return element_text(element_child(el, name, ns));
}

const char *element_condition(xmpp_stanza_t *error, const char *ns)
{
	xmpp_stanza_t *c = element_any_child(error, ns, "text");

	return c ? element_name(c) : "undefined-condition";
}
