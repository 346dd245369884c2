/* wire/scram.c against the RFCs' own examples, wire/sasl.c against GNU SASL's server. */
#include <gsasl.h>

#include "wire-test.h"
#include "wire/sasl.h"
#include "wire/scram.h"

struct vector {
	const char *digest;
	const char *nonce;
	const char *first;
	const char *server_first;
	const char *final;
	const char *server_final;
};

static const struct vector rfc5802 = {
	.digest = "SHA1",
	.nonce = "fyko+d2lbbFgONRv9qkxdawL",
	.first = "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
	.server_first = "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
	.final = "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
	.server_final = "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
};

static const struct vector rfc7677 = {
	.digest = "SHA256",
	.nonce = "rOprNGfwEbeRWgbNEkqO",
	.first = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
	.server_first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
	.final = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
		 "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
	.server_final = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
};

static void run_vector(const struct vector *v)
{
	_cleanup_(scram_freep) struct scram *s = scram_new(v->digest, "user", "pencil", v->nonce);
	_cleanup_(freep) char *first = scram_first(s), *final = NULL;

	assert_string_equal(first, v->first);
	assert_int_not_equal(scram_verify(s, v->server_final), 0); /* not before its turn */
	assert_int_equal(scram_final(s, v->server_first, &final), 0);
	assert_string_equal(final, v->final);
	assert_int_equal(scram_verify(s, v->server_final), 0);
}

TEST(the_example_of_RFC_5802)
{
	run_vector(&rfc5802);
}

TEST(the_example_of_RFC_7677)
{
	run_vector(&rfc7677);
}

TEST(a_wrong_server_signature_is_refused)
{
	_cleanup_(scram_freep) struct scram *s = scram_new("SHA256", "user", "pencil", rfc7677.nonce);
	_cleanup_(freep) char *final = NULL;

	assert_int_equal(scram_final(s, rfc7677.server_first, &final), 0);
	assert_int_not_equal(scram_verify(s, "v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), 0);
	assert_int_not_equal(scram_verify(s, "v="), 0);
	assert_int_not_equal(scram_verify(s, "v=AAAA"), 0);
	assert_int_not_equal(scram_verify(s, "e=other-error"), 0);
	assert_int_not_equal(scram_verify(s, ""), 0);
}

TEST(a_bad_server_first_message_is_refused)
{
	static const char *const bad[] = {
		"",
		"r=fyko",
		"m=x,r=fyko+d2lbbFgONRv9qkxdawL3rfc,s=QSXCR+Q6sek8bf92,i=4096", /* unknown mandatory extension */
		"r=fyko+d2lbbFgONRv9qkxdawL,s=QSXCR+Q6sek8bf92,i=4096", /* nothing of its own */
		"r=other3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
		"r=fyko+d2lbbFgONRv9qkxdawL3rfc,s=,i=4096",
		"r=fyko+d2lbbFgONRv9qkxdawL3rfc,s=!!!!,i=4096",
		"r=fyko+d2lbbFgONRv9qkxdawL3rfc,s=QSXCR+Q6sek8bf92,i=0",
		"r=fyko+d2lbbFgONRv9qkxdawL3rfc,s=QSXCR+Q6sek8bf92,i=4000000000",
		"r=fyko+d2lbbFgONRv9qkxdawL3rfc,s=QSXCR+Q6sek8bf92",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_(scram_freep) struct scram *s = scram_new("SHA1", "user", "pencil", rfc5802.nonce);
		char *final = NULL;

		assert_int_equal(scram_final(s, bad[i], &final), SCRAM_E_SERVER);
		assert_null(final);
	}
}

TEST(a_name_with_comma_and_equals_is_escaped)
{
	_cleanup_(scram_freep) struct scram *s = scram_new("SHA512", "a,b=c", "x", "n");
	_cleanup_(freep) char *first = scram_first(s);

	assert_string_equal(first, "n,,n=a=2Cb=3Dc,r=n");
}

TEST(the_strongest_mechanism_is_chosen)
{
	static const char *const all[] = { "PLAIN",         "SCRAM-SHA-1",   "SCRAM-SHA-256-PLUS",
					   "SCRAM-SHA-256", "SCRAM-SHA-512", "X-OAUTH2" };

	assert_string_equal(sasl_choose(all, 6, true), "SCRAM-SHA-512");
	assert_string_equal(sasl_choose(all, 4, true), "SCRAM-SHA-256");
	assert_string_equal(sasl_choose(all, 2, true), "SCRAM-SHA-1");
	assert_string_equal(sasl_choose(all, 1, true), "PLAIN");
	assert_null(sasl_choose(all, 1, false));
	assert_null(sasl_choose(all, 0, true));
}

static int on_server(_unused_ Gsasl *ctx, Gsasl_session *session, Gsasl_property property)
{
	if (property == GSASL_PASSWORD)
		return gsasl_property_set(session, GSASL_PASSWORD, gsasl_session_hook_get(session));
	if (property == GSASL_VALIDATE_SIMPLE)
		return strcmp(gsasl_property_fast(session, GSASL_PASSWORD), gsasl_session_hook_get(session)) == 0
			       ? GSASL_OK
			       : GSASL_AUTHENTICATION_ERROR;
	return GSASL_NO_CALLBACK;
}

/*
 * A whole login; the server thinks that the password is ${theirs}. 0 if the client is content. The last message of the
 * server comes with <success/>, or as a challenge of its own.
 */
static int login(const char *mechanism, const char *ours, const char *theirs, bool last_as_challenge)
{
	_cleanup_(sasl_freep) struct sasl *s = NULL;
	Gsasl *ctx;
	Gsasl_session *server;
	char *from_client = NULL, *from_server = NULL;
	char secret[64];
	int r, e;

	snprintf(secret, sizeof(secret), "%s", theirs);
	assert_int_equal(gsasl_init(&ctx), GSASL_OK);
	gsasl_callback_set(ctx, on_server);
	assert_int_equal(gsasl_server_start(ctx, mechanism, &server), GSASL_OK);
	gsasl_session_hook_set(server, secret);
	assert_int_equal(sasl_new(mechanism, "alice", ours, &s), 0);
	assert_int_equal(sasl_initial(s, &from_client), 0);
	for (;;) {
		e = gsasl_step64(server, from_client, &from_server);
		free(from_client);
		from_client = NULL;
		if (e == GSASL_NEEDS_MORE) {
			r = sasl_step(s, from_server, &from_client);
			gsasl_free(from_server);
			if (r != 0)
				break;
			continue;
		}
		if (e != GSASL_OK) {
			r = -1; /* the server would say <failure/> */
			break;
		}
		if (last_as_challenge && from_server && *from_server) {
			r = sasl_step(s, from_server, &from_client);
			free(from_client);
			if (r == 0)
				r = sasl_success(s, "");
		} else {
			r = sasl_success(s, from_server ? from_server : "");
		}
		gsasl_free(from_server);
		break;
	}
	gsasl_finish(server);
	gsasl_done(ctx);
	return r;
}

TEST(a_login_against_another_implementation)
{
	static const char *const mechanisms[] = { "SCRAM-SHA-256", "SCRAM-SHA-1" };

	for (size_t i = 0; i < ARRAY_SIZE(mechanisms); i++) {
		assert_int_equal(login(mechanisms[i], "pencil", "pencil", false), 0);
		assert_int_equal(login(mechanisms[i], "pencil", "pencil", true), 0);
		assert_int_not_equal(login(mechanisms[i], "pencil", "Pencil", false), 0);
	}
	assert_int_equal(login("PLAIN", "pencil", "pencil", false), 0);
	assert_int_equal(login("PLAIN", "pencil", "wrong", false), -1);
}

TEST(success_without_the_servers_proof_is_refused)
{
	static const char *const mechanisms[] = { "SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1" };

	for (size_t i = 0; i < ARRAY_SIZE(mechanisms); i++) {
		_cleanup_(sasl_freep) struct sasl *s = NULL;
		_cleanup_(freep) char *initial = NULL;

		assert_int_equal(sasl_new(mechanisms[i], "alice", "pencil", &s), 0);
		assert_int_equal(sasl_initial(s, &initial), 0);
		assert_int_equal(sasl_success(s, ""), SASL_E_SERVER);
		assert_int_equal(sasl_success(s, "dj1BQUFB"), SASL_E_SERVER); /* v=AAAA */
		assert_int_equal(sasl_success(s, "not base64"), SASL_E_SERVER);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(the_example_of_RFC_5802),
		RUN(the_example_of_RFC_7677),
		RUN(a_wrong_server_signature_is_refused),
		RUN(a_bad_server_first_message_is_refused),
		RUN(a_name_with_comma_and_equals_is_escaped),
		RUN(the_strongest_mechanism_is_chosen),
		RUN(a_login_against_another_implementation),
		RUN(success_without_the_servers_proof_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
