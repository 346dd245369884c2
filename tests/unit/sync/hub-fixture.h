/* A real hub on a real store, with one account and without a network: its wire is /bin/false. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sync/hub-priv.h"

#define BOB "bob@unit.test"

struct fixture {
	char dir[64];
	sd_event *event;
	struct hub *hub;
	int64_t account;
};

/* For cmocka: *state is a struct fixture with the account me@unit.test, which is disabled. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
#define CASE(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

/* What Send would take; views of the arguments. */
struct outgoing text(const char *to, const char *id, const char *body);
/* "hello" to ${to} is taken: the message. */
int64_t send_hello(struct fixture *f, const char *to, const char *id);
