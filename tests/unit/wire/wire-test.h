/* Shared by the tests of daemon/wire: cmocka in the order it wants, and stanzas read through the real reader. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* after those */
#include <cmocka.h>

#include "wire/element.h"
#include "wire/xml.h"

#define STREAM_OPEN "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"

#define TEST(name) static void name(_unused_ void **state)
#define RUN(name) cmocka_unit_test(name)

/* One libstrophe context for a whole test program. */
static inline xmpp_ctx_t *test_ctx(void)
{
	static xmpp_ctx_t *ctx;

	if (!ctx)
		ctx = xmpp_ctx_new(NULL, NULL);
	return ctx;
}

/* A reader that has seen the header. */
static inline struct xml *open_reader(void)
{
	struct xml *x = xml_new(test_ctx());
	struct xml_event ev;

	xml_feed(x, STREAM_OPEN, strlen(STREAM_OPEN));
	assert_int_equal(xml_next(x, &ev), XML_OPENED);
	xmpp_stanza_release(ev.element);
	return x;
}

/* The stanza that ${text} is; the caller releases. *ret_dropped may be NULL. */
static inline xmpp_stanza_t *parse(const char *text, const char **ret_dropped)
{
	_cleanup_(xml_freep) struct xml *x = open_reader();
	struct xml_event ev;

	xml_feed(x, text, strlen(text));
	if (xml_next(x, &ev) != XML_STANZA)
		fail_msg("no stanza: %s", ev.text ? ev.text : "incomplete");
	if (ret_dropped)
		*ret_dropped = ev.dropped;
	return ev.element;
}
