/* ipc/ctl/json.h: nesting, lines, and strings that are always UTF-8. */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "ipc/ctl/json.h"
#include "ipc/ctl/util.h"

struct out {
	char *text;
	size_t len;
	FILE *f;
	struct json *j;
};

static void begin(struct out *o, enum json_mode mode)
{
	o->f = open_memstream(&o->text, &o->len);
	o->j = json_new(o->f, mode);
}

static void is(struct out *o, const char *expected)
{
	json_free(o->j);
	fclose(o->f);
	assert_string_equal(o->text, expected);
	free(o->text);
}

TEST(objects_and_arrays_nest)
{
	struct out o;

	begin(&o, JSON_SHORT);
	json_object(o.j, NULL);
	json_int(o.j, "a", -1);
	json_array(o.j, "b");
	json_uint(o.j, NULL, UINT64_MAX);
	json_object(o.j, NULL);
	json_object_end(o.j);
	json_bool(o.j, NULL, true);
	json_array_end(o.j);
	json_array(o.j, "c");
	json_array_end(o.j);
	json_null(o.j, "d");
	json_object_end(o.j);
	is(&o, "{\"a\":-1,\"b\":[18446744073709551615,{},true],\"c\":[],\"d\":null}\n");
}

TEST(each_value_at_the_top_is_a_line)
{
	struct out o;

	begin(&o, JSON_SHORT);
	for (int i = 0; i < 2; i++) {
		json_object(o.j, NULL);
		json_int(o.j, "i", i);
		json_object_end(o.j);
	}
	json_string(o.j, NULL, "x");
	is(&o, "{\"i\":0}\n{\"i\":1}\n\"x\"\n");
}

TEST(pretty_indents_by_two)
{
	struct out o;

	begin(&o, JSON_PRETTY);
	json_object(o.j, NULL);
	json_string(o.j, "a", "b");
	json_array(o.j, "c");
	json_int(o.j, NULL, 1);
	json_array_end(o.j);
	json_object(o.j, "e");
	json_object_end(o.j);
	json_object_end(o.j);
	is(&o, "{\n  \"a\": \"b\",\n  \"c\": [\n    1\n  ],\n  \"e\": {}\n}\n");
}

TEST(strings_are_escaped_and_always_utf8)
{
	static const struct {
		const char *in, *out, *why;
	} rows[] = {
		{ "plain", "\"plain\"\n", "nothing to do" },
		{ "a\"b\\c/", "\"a\\\"b\\\\c/\"\n", "RFC 8259 section 7" },
		{ "\n\t\r\x01\x1f", "\"\\n\\t\\r\\u0001\\u001f\"\n", "C0" },
		{ "\x7f\xc2\x9b\xe2\x80\xae", "\"\\u007f\\u009b\\u202e\"\n", "what would act on a terminal" },
		{ "日本語 👍", "\"日本語 👍\"\n", "UTF-8 stays" },
		{ "a\xff\xc3(\xed\xa0\x80", "\"a\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"\n",
		  "not UTF-8: one replacement a byte" },
		{ "\xc0\xaf\xf5\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"\n",
		  "overlong, beyond U+10FFFF" },
		{ "x\xe2\x82", "\"x\xef\xbf\xbd\xef\xbf\xbd\"\n", "cut short" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct out o;

		begin(&o, JSON_SHORT);
		json_string(o.j, NULL, rows[i].in);
		is(&o, rows[i].out);
	}
}

TEST(absent_is_null_never_a_dash)
{
	struct out o;

	begin(&o, JSON_SHORT);
	json_object(o.j, NULL);
	json_string(o.j, "a", NULL);
	json_string(o.j, "b", "");
	json_string_or_null(o.j, "c", "");
	json_time(o.j, "t", 0);
	json_double(o.j, "d", 0.0 / 0.0);
	json_object_end(o.j);
	is(&o, "{\"a\":null,\"b\":\"\",\"c\":null,\"t\":null,\"t_usec\":null,\"d\":null}\n");
}

TEST(a_time_is_there_twice)
{
	struct out o;

	begin(&o, JSON_SHORT);
	json_object(o.j, NULL);
	json_time(o.j, "time", INT64_C(1700000000123456));
	json_object_end(o.j);
	is(&o, "{\"time\":\"2023-11-14T22:13:20.123456Z\",\"time_usec\":1700000000123456}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_and_arrays_nest),     cmocka_unit_test(each_value_at_the_top_is_a_line),
		cmocka_unit_test(pretty_indents_by_two),       cmocka_unit_test(strings_are_escaped_and_always_utf8),
		cmocka_unit_test(absent_is_null_never_a_dash), cmocka_unit_test(a_time_is_there_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
