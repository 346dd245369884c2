/*
 * fields: a record as bytes. What is packed comes out as it was; what a wire that was taken over (decisions/0016) may write in
 * their place ends in an error, and nothing beyond the bytes is read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "link/fields.h"

static struct link_record example(void)
{
	struct link_record r;

	link_record_init(&r, LINK_MSG);
	r.msg.n = UINT32_MAX;
	r.msg.archive_us = -LINK_I64_MAX;
	r.msg.delay_us = LINK_I64_MAX;
	r.msg.delay_trusted = true;
	r.msg.from = "a@b.test/x";
	r.msg.body = "gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80";
	r.msg.error_text = "last";
	return r;
}

/* As from a peer: a sanitizer sees whoever reads behind them. 0 with the record, which takes *ret_len bytes, or -errno. */
static int unpack(const void *data, size_t len, size_t *ret_len)
{
	_cleanup_(freep) char *bytes = malloc(len ? len : 1);
	struct link_record r = { .kind = LINK_MSG };
	const char *p = bytes;
	int err;

	assert_non_null(bytes);
	memcpy(bytes, data, len);
	err = fields_unpack(&p, bytes + len, &r);
	assert_true(p >= bytes && p <= bytes + len);
	if (err == 0) {
		assert_true(r.msg.delay_trusted == true || r.msg.delay_trusted == false);
		assert_true(r.msg.error_text + strlen(r.msg.error_text) < bytes + len);
		*ret_len = (size_t)(p - bytes);
	}
	return err;
}

static void it_comes_out_as_it_was(_unused_ void **state)
{
	_cleanup_(buf_deinit) struct buf b = { 0 };
	struct link_record in = example(), out = { .kind = LINK_MSG };
	const char *p;

	assert_int_equal(fields_pack(&b, &in), 0);
	assert_int_equal(fields_pack(&b, &in), 0);
	p = b.data;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fields_unpack(&p, b.data + b.len, &out), 0);
		assert_int_equal(out.msg.n, UINT32_MAX);
		assert_true(out.msg.archive_us == -LINK_I64_MAX);
		assert_true(out.msg.delay_us == LINK_I64_MAX);
		assert_true(out.msg.delay_trusted);
		assert_string_equal(out.msg.from, in.msg.from);
		assert_string_equal(out.msg.to, "");
		assert_string_equal(out.msg.body, in.msg.body);
		assert_string_equal(out.msg.error_text, "last");
	}
	assert_ptr_equal(p, b.data + b.len);
}

/* The records before it stay as they were. */
static void what_breaks_a_limit_leaves_nothing(_unused_ void **state)
{
	static char longer[JID_MAX + 2];
	_cleanup_(buf_deinit) struct buf b = { 0 };
	struct link_record r = example();
	size_t one;

	assert_int_equal(fields_pack(&b, &r), 0);
	one = b.len;
	memset(longer, 'a', JID_MAX + 1);
	r.msg.to = longer;
	assert_int_equal(fields_pack(&b, &r), -EMSGSIZE);
	longer[JID_MAX] = '\0';
	r.msg.error_text = "a\xff";
	assert_int_equal(fields_pack(&b, &r), -EBADMSG);
	r = example();
	r.msg.delay_us = LINK_I64_MAX + 1;
	assert_int_equal(fields_pack(&b, &r), -EBADMSG);
	assert_int_equal(b.len, one);
}

static void cut_at_every_byte(_unused_ void **state)
{
	_cleanup_(buf_deinit) struct buf b = { 0 };
	struct link_record r = example();
	size_t len;

	assert_int_equal(fields_pack(&b, &r), 0);
	for (size_t n = 0; n < b.len; n++)
		assert_int_equal(unpack(b.data, n, &len), -EBADMSG);
	assert_int_equal(unpack(b.data, b.len, &len), 0);
	assert_int_equal(len, b.len);
}

static void every_byte_changed(_unused_ void **state)
{
	_cleanup_(buf_deinit) struct buf b = { 0 };
	struct link_record r = example();
	size_t len, good = 0;

	assert_int_equal(fields_pack(&b, &r), 0);
	for (size_t i = 0; i < b.len; i++) {
		for (int c = 0; c < 256; c++) {
			char was = b.data[i];

			b.data[i] = (char)c;
			good += unpack(b.data, b.len, &len) == 0;
			b.data[i] = was;
		}
	}
	assert_true(good > 0 && good < b.len * 256);
}

/* ${r} as bytes that keep to no limit. */
static int take(const struct message *r)
{
#define PUT_STR(v) buf_add(&b, v, strlen(v) + 1);
#define PUT_U32(v) buf_add(&b, &(v), sizeof(v));
#define PUT_I64(v) buf_add(&b, &(v), sizeof(v));
#define PUT_BOOL(v) buf_add(&b, &(v), sizeof(v));
#define PUT(type, name, max) PUT_##type(r->name)
	_cleanup_(buf_deinit) struct buf b = { 0 };
	size_t len;

	MESSAGE_FIELDS(PUT)
	return unpack(b.data, b.len, &len);
}

static void what_a_record_may_not_say(_unused_ void **state)
{
	static const char *const texts[] = { "a\xff", "\xed\xa0\x80", "\xef\xb7\x90", "\xc0\x80", "cut \xc3" };
	static const int64_t times[] = { LINK_I64_MAX + 1, -LINK_I64_MAX - 1, INT64_MIN, INT64_MAX };
	static char longest[JID_MAX + 2];
	struct message r;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		message_init(&r);
		r.body = texts[i];
		assert_int_equal(take(&r), -EBADMSG);
	}
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		message_init(&r);
		r.delay_us = times[i];
		assert_int_equal(take(&r), -ERANGE);
	}
	message_init(&r);
	memset(&r.delay_trusted, 2, sizeof(r.delay_trusted));
	assert_int_equal(take(&r), -EBADMSG);
	message_init(&r);
	memset(longest, 'a', JID_MAX);
	r.to = longest;
	assert_int_equal(take(&r), 0);
	longest[JID_MAX] = 'a';
	assert_int_equal(take(&r), -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_comes_out_as_it_was),
		cmocka_unit_test(what_breaks_a_limit_leaves_nothing),
		cmocka_unit_test(cut_at_every_byte),
		cmocka_unit_test(every_byte_changed),
		cmocka_unit_test(what_a_record_may_not_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
