/* wire/pool.c: the memory of libstrophe's stanzas. */
#include "base/buf.h"
#include "wire-test.h"
#include "wire/pool.h"

static void *take(struct pool *p, size_t size)
{
	char *at = pool_mem(p)->alloc(size, pool_mem(p)->userdata);

	assert_non_null(at);
	assert_int_equal((uintptr_t)at % sizeof(void *), 0);
	memset(at, (int)size, size);
	return at;
}

static void give(struct pool *p, void *at)
{
	pool_mem(p)->free(at, pool_mem(p)->userdata);
}

TEST(what_is_freed_is_given_out_again)
{
	_cleanup_(pool_freep) struct pool *p = pool_new();
	char *a = take(p, 24), *b = take(p, 24);

	assert_ptr_not_equal(a, b);
	give(p, a);
	assert_ptr_equal(take(p, 20), a);
	give(p, NULL);
	give(p, b);
}

TEST(blocks_of_every_size_do_not_overlap)
{
	_cleanup_(pool_freep) struct pool *p = pool_new();
	unsigned char *at[600];

	for (size_t round = 0; round < 3; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(at); i++)
			at[i] = take(p, i);
		for (size_t i = 0; i < ARRAY_SIZE(at); i++)
			for (size_t k = 0; k < i; k++)
				assert_int_equal(at[i][k], (unsigned char)i);
		for (size_t i = 0; i < ARRAY_SIZE(at); i++)
			give(p, at[(i * 7) % ARRAY_SIZE(at)]);
	}
}

TEST(a_block_that_grows_keeps_its_content)
{
	_cleanup_(pool_freep) struct pool *p = pool_new();
	char *at = NULL;

	for (size_t size = 1; size < 4000; size += 61) {
		at = pool_mem(p)->realloc(at, size, pool_mem(p)->userdata);
		at[size - 1] = (char)size;
		for (size_t k = 1; k < size; k += 61)
			assert_int_equal(at[k - 1], (char)k);
	}
	give(p, at);
}

/* A roster at the login would stay in memory for as long as the stream lives. */
TEST(a_large_stanza_goes_back_when_it_is_released)
{
	_cleanup_(pool_freep) struct pool *p = pool_new();
	xmpp_ctx_t *ctx = xmpp_ctx_new(pool_mem(p), NULL);
	_cleanup_(xml_freep) struct xml *x = xml_new(ctx);
	_cleanup_(buf_deinit) struct buf b = { 0 };
	const char *after = "<message from='c@d'/>";
	struct xml_event ev;
	size_t before;

	pool_settle(p);
	before = pool_size(p);
	buf_adds(&b, STREAM_OPEN "<message from='a@b'>");
	for (int i = 0; i < 5000; i++)
		buf_addf(&b, "<a n='%d'>text</a>", i);
	buf_adds(&b, "</message>");
	xml_feed(x, b.data, b.len);
	assert_int_equal(xml_next(x, &ev), XML_OPENED);
	xmpp_stanza_release(ev.element);
	assert_int_equal(xml_next(x, &ev), XML_STANZA);
	assert_true(pool_size(p) > 1000000);
	assert_string_equal(element_attr(element_child(ev.element, "a", "jabber:client"), "n"), "0");
	xmpp_stanza_release(ev.element);
	assert_true(pool_size(p) <= before);
	xml_feed(x, after, strlen(after));
	assert_int_equal(xml_next(x, &ev), XML_STANZA);
	assert_string_equal(element_attr(ev.element, "from"), "c@d");
	xmpp_stanza_release(ev.element);
	xmpp_ctx_free(ctx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(what_is_freed_is_given_out_again),
		RUN(blocks_of_every_size_do_not_overlap),
		RUN(a_block_that_grows_keeps_its_content),
		RUN(a_large_stanza_goes_back_when_it_is_released),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
