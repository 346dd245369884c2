/* bus/settings and bus/pem: what a user may give for an account, and what he is told when it is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/mem.h"
#include "bus/pem.h"
#include "bus/settings.h"
#include "link/vocab.h"
#include "message.h"

/* Read { key: value } into a fresh account. */
static int read_one(const char *key, const char *type, const char *value, bool with_password, struct account *ret,
		    sd_bus_error *error)
{
	_cleanup_(sd_bus_unrefp) sd_bus *bus = message_bus();
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = message_call(bus, "a.b", "C");
	const struct account empty = { 0 };

	settings_copy(ret, &empty);
	if (*type == 's')
		assert_true(sd_bus_message_append(m, "a{sv}", 1, key, "s", value) >= 0);
	else
		assert_true(sd_bus_message_append(m, "a{sv}", 1, key, "b", 1) >= 0);
	message_seal(m);
	return settings_read(m, ret, with_password, error);
}

static const struct {
	const char *server, *host;
	uint32_t port;
	const char *says; /* in the error; NULL = accepted */
} servers[] = {
	{ "", "", 0, NULL },
	{ "xmpp.example.org", "xmpp.example.org", 0, NULL },
	{ "xmpp.example.org:5223", "xmpp.example.org", 5223, NULL },
	{ "127.0.0.1:1", "127.0.0.1", 1, NULL },
	{ "[::1]:65535", "::1", 65535, NULL },
	{ "[::1]", "::1", 0, NULL },
	{ "2001:db8::1", "2001:db8::1", 0, NULL },
	{ "host:0", NULL, 0, "not a port" },
	{ "host:65536", NULL, 0, "not a port" },
	{ "host:", NULL, 0, "not a port" },
	{ "host:12x", NULL, 0, "not a port" },
	{ "host:-1", NULL, 0, "not a port" },
	{ "host:000005222", NULL, 0, "not a port" },
	{ ":5222", NULL, 0, "not a server" },
	{ "a b:5222", NULL, 0, "not a server" },
	{ "user@host", NULL, 0, "not a server" },
	{ "[::1", NULL, 0, "not a server" },
	{ "[::1]x", NULL, 0, "not a server" },
	{ "[host]:5222", NULL, 0, "not a server" },
	{ "1:2:3", NULL, 0, "not a server" },
	{ "a..b", NULL, 0, "not a server" },
	{ "host/path", NULL, 0, "not a server" },
};

static void servers_are_read_or_refused_with_words(_unused_ void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(servers); i++) {
		_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
		_cleanup_(settings_deinit) struct account a = { 0 };
		int r = read_one("server", "s", servers[i].server, false, &a, &error);

		if (!servers[i].says) {
			if (r != 0)
				fail_msg("'%s': %s", servers[i].server, str_or_empty(error.message));
			assert_string_equal(a.host, servers[i].host);
			assert_int_equal(a.port, servers[i].port);
			continue;
		}
		if (r >= 0 || !error.message || !strstr(error.message, servers[i].says))
			fail_msg("'%s': %d %s", servers[i].server, r, str_or_empty(error.message));
		assert_string_equal(error.name, SD_BUS_ERROR_INVALID_ARGS);
	}
}

static const struct {
	const char *key, *type, *value, *says;
} bad[] = {
	{ "tls", "s", "yes", "'direct' or 'starttls'" },
	{ "tls", "b", NULL, "must be a string" },
	{ "enabled", "s", "yes", "must be a boolean" },
	{ "nick", "s", "a\nb", "control characters" },
	{ "ca-pem", "s", "hello", "no certificate" },
	{ "ca-pem", "s", "-----BEGIN CERTIFICATE-----\nAAAA\n", "no end" },
	{ "ca-pem", "s", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "damaged" },
	{ "ca-pem", "s", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n", "damaged" },
	{ "password", "s", "", "empty" },
	{ "password", "s", "abc\n", "line end" },
	{ "push-service", "s", "a b", "not the address of a push service" },
	{ "push-service", "s", "push.test/x", "not the address of a push service" },
	{ "push-service", "s", "@push.test", "not the address of a push service" },
	{ "push-service", "s", "push.test.", "not the address of a push service" },
	{ "push-service", "b", NULL, "must be a string" },
	{ "Server", "s", "x", "no option 'Server'" },
};

static void what_is_wrong_is_named(_unused_ void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
		_cleanup_(settings_deinit) struct account a = { 0 };
		int r = read_one(bad[i].key, bad[i].type, bad[i].value, true, &a, &error);

		if (r >= 0 || !error.message || !strstr(error.message, bad[i].says))
			fail_msg("%s=%s: %d %s", bad[i].key, str_or_empty(bad[i].value), r, str_or_empty(error.message));
	}
}

static void a_password_is_no_setting(_unused_ void **state)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(settings_deinit) struct account a = { 0 };

	assert_true(read_one("password", "s", "secret", false, &a, &error) < 0);
	assert_string_equal(a.password, "");
}

static void keys_of_others_pass(_unused_ void **state)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(settings_deinit) struct account a = { 0 };

	assert_int_equal(read_one("x-colour", "s", "red", false, &a, &error), 0);
}

static void what_is_read_is_what_is_told(_unused_ void **state)
{
	_cleanup_(sd_bus_unrefp) sd_bus *bus = message_bus();
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = message_call(bus, "a.b", "C");
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(settings_deinit) struct account a = { 0 }, b = { 0 };
	const struct account empty = { 0 };
	char host[] = "::1", nick[] = "N", password[] = "secret", push[] = "push.test";

	settings_copy(&a, &(struct account){ .host = host, .port = 5223, .tls = TLS_DIRECT, .nick = nick,
					     .password = password, .push_service = push, .allow_plain = true, .enabled = true });
	settings_copy(&b, &empty);
	assert_int_equal(settings_append(m, &a), 0);
	message_seal(m);
	/* Reading it back also shows that the password is not among it: it would be an unknown key. */
	assert_int_equal(settings_read(m, &b, false, &error), 0);
	assert_string_equal(b.host, "::1");
	assert_int_equal(b.port, 5223);
	assert_int_equal(b.tls, TLS_DIRECT);
	assert_string_equal(b.nick, "N");
	assert_string_equal(b.push_service, "push.test");
	assert_true(b.allow_plain && b.enabled);
	assert_string_equal(b.password, "");
}

/* SEQUENCE { INTEGER 1 }, once with text before it and CRLF, twice in a row. */
#define BLOCK "-----BEGIN CERTIFICATE-----\r\nMAMC\r\nAQE=\r\n-----END CERTIFICATE-----\r\n"

static void pem_texts(_unused_ void **state)
{
	const char *why = NULL;

	assert_true(pem_check(BLOCK, &why));
	assert_true(pem_check("subject: x\n" BLOCK "\n" BLOCK, &why));
	assert_false(pem_check(BLOCK "-----BEGIN CERTIFICATE-----\nMAMCAQ==\n-----END CERTIFICATE-----\n", &why));
	assert_false(pem_check("-----BEGIN PRIVATE KEY-----\nMAMCAQE=\n-----END PRIVATE KEY-----\n", &why));
	assert_false(pem_check("", &why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(servers_are_read_or_refused_with_words),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(a_password_is_no_setting),
		cmocka_unit_test(keys_of_others_pass),
		cmocka_unit_test(what_is_read_is_what_is_told),
		cmocka_unit_test(pem_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
