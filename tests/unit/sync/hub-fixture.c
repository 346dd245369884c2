#define _GNU_SOURCE
#include "hub-fixture.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int remove_one(const char *path, _unused_ const struct stat *st, _unused_ int type, _unused_ struct FTW *f)
{
	return remove(path);
}

int fixture_setup(void **state)
{
	struct fixture *f = xnew(struct fixture);
	char jid[] = "me@unit.test", password[] = "x", empty[] = "";
	struct account a = {
		.jid = jid, .password = password, .host = empty, .ca_pem = empty, .nick = empty, .resource = empty,
		.push_service = empty,
	};
	_cleanup_(freep) char *why = NULL;

	strcpy(f->dir, "/tmp/varve-hub-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	setenv("VARVE_WIRE", "/bin/false", 1);
	assert_true(sd_event_new(&f->event) >= 0);
	assert_int_equal(hub_new(f->event, f->dir, f->dir, &f->hub, &why), 0);
	assert_int_equal(hub_start(f->hub), 0);
	assert_int_equal(hub_state(f->hub), HUB_READY);
	assert_int_equal(hub_account_add(f->hub, &a, &f->account, &why), 0);
	*state = f;
	return 0;
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	hub_free(f->hub);
	sd_event_unref(f->event);
	nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

struct outgoing text(const char *to, const char *id, const char *body)
{
	return (struct outgoing){ .kind = OUT_TEXT, .conversation = to, .client_id = id, .body = body, .emojis = "" };
}

int64_t send_hello(struct fixture *f, const char *to, const char *id)
{
	struct outgoing o = text(to, id, "hello");
	_cleanup_(freep) char *why = NULL;
	int64_t msg = 0;
	bool existing;

	assert_int_equal(hub_send(f->hub, f->account, &o, &msg, &existing, &why), 0);
	return msg;
}
