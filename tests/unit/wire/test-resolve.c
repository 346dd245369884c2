/* wire/resolve.c: the order of SRV records as a pure function, and addresses as people and servers write them. */
#include "wire-test.h"
#include "wire/resolve.h"

/* Chance that is always the same part of the whole: 0 the least, UINT32_MAX the most. */
static uint32_t fixed(void *userdata)
{
	return *(uint32_t *)userdata;
}

/* A small generator with a known start: the same numbers in every run. */
static uint32_t lcg(void *userdata)
{
	uint64_t *x = userdata;

	*x = *x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*x >> 32);
}

static void expect_order(const struct srv *records, size_t n, const char *order)
{
	char got[32] = "";

	for (size_t i = 0; i < n; i++)
		got[i] = records[i].host[0];
	assert_string_equal(got, order);
}

TEST(both_services_are_one_set_ordered_by_priority)
{
	struct srv records[] = {
		{ .host = "c", .priority = 30, .direct = true },
		{ .host = "a", .priority = 5 },
		{ .host = "b", .priority = 10, .direct = true },
	};
	uint32_t chance = 0;

	srv_merge(records, 3, fixed, &chance);
	expect_order(records, 3, "abc");
	assert_false(records[0].direct);
	assert_true(records[1].direct);
}

TEST(within_a_priority_weight_decides)
{
	struct srv light[] = { { .host = "a", .weight = 1 }, { .host = "b", .weight = 9 } };
	struct srv heavy[] = { { .host = "a", .weight = 1 }, { .host = "b", .weight = 9 } };
	uint32_t least = 0, most = UINT32_MAX;

	srv_merge(light, 2, fixed, &least);
	expect_order(light, 2, "ab");
	srv_merge(heavy, 2, fixed, &most);
	expect_order(heavy, 2, "ba");
}

TEST(weights_are_obeyed_in_the_long_run)
{
	uint64_t seed = 42;
	int first = 0;

	for (int i = 0; i < 10000; i++) {
		struct srv r[] = { { .host = "a", .weight = 25 }, { .host = "b", .weight = 75 } };

		srv_merge(r, 2, lcg, &seed);
		first += r[0].host[0] == 'b';
	}
	assert_in_range(first, 7200, 7800);
}

TEST(weight_zero_is_not_never)
{
	struct srv r[] = { { .host = "a", .weight = 10 }, { .host = "b", .weight = 0 } };
	uint32_t least = 0;

	srv_merge(r, 2, fixed, &least);
	expect_order(r, 2, "ba");
}

TEST(nothing_and_one_are_in_order)
{
	struct srv r[] = { { .host = "a" } };
	uint32_t chance = UINT32_MAX;

	srv_merge(r, 0, fixed, &chance);
	srv_merge(r, 1, fixed, &chance);
	expect_order(r, 1, "a");
}

TEST(a_resume_location_is_split)
{
	static const struct {
		const char *text;
		const char *host; /* NULL: refused */
		uint16_t port;
	} cases[] = {
		{ "example.org", "example.org", 0 },
		{ "example.org:5223", "example.org", 5223 },
		{ "[2001:db8::1]", "2001:db8::1", 0 },
		{ "[2001:db8::1]:5222", "2001:db8::1", 5222 },
		{ "2001:db8::1", "2001:db8::1", 0 },
		{ "", NULL, 0 },
		{ ":5222", NULL, 0 },
		{ "example.org:", NULL, 0 },
		{ "example.org:0", NULL, 0 },
		{ "example.org:70000", NULL, 0 },
		{ "example.org:52x", NULL, 0 },
		{ "[2001:db8::1", NULL, 0 },
		{ "[2001:db8::1]5222", NULL, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char host[256] = "";
		uint16_t port = 0;
		bool ok = resolve_split(cases[i].text, host, &port);

		assert_int_equal(ok, cases[i].host != NULL);
		if (!ok)
			continue;
		assert_string_equal(host, cases[i].host);
		assert_int_equal(port, cases[i].port);
	}
}

TEST(a_numeric_host_needs_no_DNS)
{
	struct link_start start = { .host = "127.0.0.1", .port = 5223, .sm_id = "", .sm_location = "" };
	struct endpoint e[ADDRESSES_MAX];
	_cleanup_(freep) char *why = NULL;
	char name[64];
	size_t n;

	assert_int_equal(resolve(&start, "chat.test", e, &n, &why), 0);
	assert_int_equal(n, 1);
	assert_string_equal(endpoint_name(&e[0], name), "127.0.0.1:5223");
	assert_true(e[0].direct); /* TLS_AUTO: by the port */
	start.tls = TLS_STARTTLS;
	assert_int_equal(resolve(&start, "chat.test", e, &n, &why), 0);
	assert_false(e[0].direct);
	/* a location of the session to resume comes first */
	start.sm_id = "x";
	start.sm_location = "[::1]:5300";
	assert_int_equal(resolve(&start, "chat.test", e, &n, &why), 0);
	assert_int_equal(n, 2);
	assert_string_equal(endpoint_name(&e[0], name), "[::1]:5300");
}

static struct endpoint at(const char *text)
{
	struct endpoint e;

	assert_true(endpoint_parse(text, &e));
	return e;
}

TEST(an_address_is_remembered_with_its_kind)
{
	static const char *const good[] = { "d203.0.113.9:5223", "s203.0.113.9:5222", "d[2001:db8::1]:5223" };
	static const char *const bad[] = { "", "d", "203.0.113.9:5223", "d203.0.113.9", "dchat.test:5223", "d203.0.113.9:0",
					   "d203.0.113.9:5223 ", "x203.0.113.9:5223" };
	struct endpoint e;
	char text[65];

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		e = at(good[i]);
		assert_string_equal(endpoint_text(&e, text), good[i]);
		assert_int_equal(e.direct, *good[i] == 'd');
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(endpoint_parse(bad[i], &e));
}

/* Digits stand for the last byte: 1 to 4 IPv4, 6 to 9 IPv6. */
static void interleaved(const char *in, const char *out)
{
	struct endpoint e[8];
	size_t n = strlen(in);
	char text[65];

	for (size_t i = 0; i < n; i++) {
		snprintf(text, sizeof(text), in[i] < '5' ? "d192.0.2.%c:5223" : "d[2001:db8::%c]:5223", in[i]);
		e[i] = at(text);
	}
	resolve_interleave(e, n);
	for (size_t i = 0; i < n; i++) {
		snprintf(text, sizeof(text), out[i] < '5' ? "d192.0.2.%c:5223" : "d[2001:db8::%c]:5223", out[i]);
		assert_int_equal(memcmp(&e[i].address, &(struct endpoint[]){ at(text) }[0].address, e[i].len), 0);
	}
}

TEST(families_take_turns)
{
	interleaved("", "");
	interleaved("6", "6");
	interleaved("12", "12");
	interleaved("6712", "6172");
	interleaved("1267", "1627");
	interleaved("678912", "617289");
	interleaved("6171", "6171");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(both_services_are_one_set_ordered_by_priority),
		RUN(within_a_priority_weight_decides),
		RUN(weights_are_obeyed_in_the_long_run),
		RUN(weight_zero_is_not_never),
		RUN(nothing_and_one_are_in_order),
		RUN(a_resume_location_is_split),
		RUN(a_numeric_host_needs_no_DNS),
		RUN(an_address_is_remembered_with_its_kind),
		RUN(families_take_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
