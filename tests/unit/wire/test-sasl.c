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
	_cleanup_(scram_freep) struct scram *s = scram_new(v->digest, "user", "pencil", v->nonce, "n,,", NULL, 0);
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
	_cleanup_(scram_freep) struct scram *s = scram_new("SHA256", "user", "pencil", rfc7677.nonce, "n,,", NULL, 0);
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
		_cleanup_(scram_freep) struct scram *s = scram_new("SHA1", "user", "pencil", rfc5802.nonce, "n,,", NULL, 0);
		char *final = NULL;

		assert_int_equal(scram_final(s, bad[i], &final), SCRAM_E_SERVER);
		assert_null(final);
	}
}

TEST(a_name_with_comma_and_equals_is_escaped)
{
	_cleanup_(scram_freep) struct scram *s = scram_new("SHA512", "a,b=c", "x", "n", "n,,", NULL, 0);
	_cleanup_(freep) char *first = scram_first(s);

	assert_string_equal(first, "n,,n=a=2Cb=3Dc,r=n");
}

/* The server-first-message of RFC 5802's example with ${more} behind it. */
static int with_attributes(const char *more, bool must)
{
	_cleanup_(scram_freep) struct scram *s =
		scram_new("SHA1", "user", "pencil", rfc5802.nonce, "p=tls-exporter,,", "binding", 7);
	_cleanup_(freep) char *message = xasprintf("%s%s", rfc5802.server_first, more);
	_cleanup_(freep) char *final = NULL;
	int r;

	/* XEP-0474 section 6.3 */
	scram_expect_offer(s, "SCRAM-SHA-1\x1eSCRAM-SHA-1-PLUS\x1ftls-exporter\x1etls-server-end-point", must);
	r = scram_final(s, message, &final);
	if (r == 0) /* base64 of "p=tls-exporter,,binding" */
		assert_int_equal(strncmp(final, "c=cD10bHMtZXhwb3J0ZXIsLGJpbmRpbmc=,r=", 37), 0);
	else
		assert_null(final);
	return r;
}

TEST(what_the_server_offered_is_compared_with_what_arrived)
{
	assert_int_equal(with_attributes("", false), 0);
	assert_int_equal(with_attributes("", true), SCRAM_E_OFFER);
	assert_int_equal(with_attributes(",h=G6k/rBLDqgOhRRaCuuatSDFkJ08=", true), 0);
	assert_int_equal(with_attributes(",x=1,h=G6k/rBLDqgOhRRaCuuatSDFkJ08=,y=2", true), 0);
	assert_int_equal(with_attributes(",h=H6k/rBLDqgOhRRaCuuatSDFkJ08=", false), SCRAM_E_OFFER);
	assert_int_equal(with_attributes(",h=G6k/rBLDqgOhRRaCuuatSDFkJ08=,h=AAAA", false), SCRAM_E_OFFER);
	assert_int_equal(with_attributes(",h=", false), SCRAM_E_OFFER);
	assert_int_equal(with_attributes(",nonsense", false), SCRAM_E_SERVER);
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
	assert_int_equal(sasl_new(&(struct sasl_login){ mechanism, "alice", ours, "n,,", NULL, 0 }, &s), 0);
	from_client = sasl_initial(s);
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
	static const char *const mechanisms[] = { "SCRAM-SHA-512",	"SCRAM-SHA-256", "SCRAM-SHA-1",
						  "HT-SHA-256-NONE", "HT-SHA-256-EXPR" };

	for (size_t i = 0; i < ARRAY_SIZE(mechanisms); i++) {
		_cleanup_(sasl_freep) struct sasl *s = NULL;
		_cleanup_(freep) char *initial = NULL;

		assert_int_equal(sasl_new(&(struct sasl_login){ mechanisms[i], "alice", "pencil", "n,,", NULL, 0 }, &s), 0);
		initial = sasl_initial(s);
		assert_int_equal(sasl_success(s, ""), SASL_E_SERVER);
		assert_int_equal(sasl_success(s, "dj1BQUFB"), SASL_E_SERVER); /* v=AAAA */
		assert_int_equal(sasl_success(s, "not base64"), SASL_E_SERVER);
	}
}

/* Made with Python's hmac: see draft-schmaus-kitten-sasl-ht-09 section 3. */
TEST(a_token_in_one_message_each_way)
{
	static const char token[] = "secret-token:fast-abc";
	static const struct {
		const char *mechanism, *binding, *initial, *answer;
	} rows[] = {
		{ "HT-SHA-256-NONE", "", "YWxpY2UAMaQPleIiWJr7jCjCEhGUE8mfFTDtEUWPLM0UGYjucJ4=", "kP0GDjSVGqRF4nKLtIi3QlXFuDVf6mGFRvdYjlQnogQ=" },
		{ "HT-SHA-256-EXPR", "0123456789abcdef0123456789abcdef", "YWxpY2UARM3Mr1kHVFn1AvOYiSur5i2XtzN+iifnIQpuS083vg8=", "gYCt3qG61cHe+/XK5m5LqPPedUgmSFboCR2M/iUP/SA=" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(sasl_freep) struct sasl *s = NULL;
		_cleanup_(freep) char *initial = NULL, *nothing = NULL;
		const struct sasl_login l = { rows[i].mechanism, "alice", token, "", rows[i].binding,
					      strlen(rows[i].binding) };

		assert_int_equal(sasl_new(&l, &s), 0);
		initial = sasl_initial(s);
		assert_string_equal(initial, rows[i].initial);
		assert_int_equal(sasl_step(s, "cj14", &nothing), SASL_E_SERVER); /* there are no challenges */
		assert_int_equal(sasl_success(s, ""), SASL_E_SERVER);
		assert_int_equal(sasl_success(s, rows[1 - i].answer), SASL_E_SERVER);
		assert_int_equal(sasl_success(s, rows[i].initial), SASL_E_SERVER);
		assert_int_equal(sasl_success(s, rows[i].answer), 0);
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
		RUN(what_the_server_offered_is_compared_with_what_arrived),
		RUN(a_token_in_one_message_each_way),
		RUN(a_login_against_another_implementation),
		RUN(success_without_the_servers_proof_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
