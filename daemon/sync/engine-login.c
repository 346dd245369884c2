/*
 * What the next login can use of the last one (store/login.h). Each change is a transaction of its own, and counts for
 * the engine only once it is durable: a token that a crash could lose is not used, and the one before it still is good
 * then (XEP-0484 section 3.5).
 */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/step.h"
#include "sync/engine-priv.h"

int login_begin(struct engine *e)
{
	return login_load(e->store, e->account.id, &e->login);
}

static void copy(struct login *dst, const struct login *src)
{
	*dst = (struct login){
		.user_agent = xstrdup(src->user_agent),
		.offer = xstrdup(src->offer),
		.pin = src->pin,
		.token = xstrdup(src->token),
		.token_mechanism = xstrdup(src->token_mechanism),
		.token_expiry_us = src->token_expiry_us,
		.avoid = src->avoid,
		.address = xstrdup(src->address),
		.ticket = xstrdup(src->ticket),
	};
}

/* ${next} becomes the engine's, or goes. False: nothing changed. */
static bool store(struct engine *e, struct login *next)
{
	bool begun;
	int r;

	r = store_begin(e->store);
	begun = r >= 0;
	if (r >= 0)
		r = login_save(e->store, e->account.id, next);
	if (r >= 0)
		r = store_commit(e->store);
	if (r < 0) {
		if (begun)
			store_rollback(e->store);
		log_debug("%s: what the login taught is not stored: %s", e->account.jid, strerror(-r));
		login_deinit(next);
		return false;
	}
	step("login.stored");
	login_deinit(&e->login);
	e->login = *next;
	return true;
}

/* RFC 4122 section 4.4. NULL without randomness: then there are no tokens. */
static char *new_uuid(void)
{
	uint8_t b[16];

	if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
		return NULL;
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	return xasprintf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3],
			 b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static void make_user_agent(struct engine *e)
{
	struct login next;
	char *uuid = new_uuid();

	if (!uuid)
		return;
	copy(&next, &e->login);
	free(next.user_agent);
	next.user_agent = uuid;
	store(e, &next);
}

void login_start(struct engine *e, struct link_start *start)
{
	struct login *l;
	bool expired;

	if (!*e->login.user_agent)
		make_user_agent(e);
	l = &e->login;
	expired = l->token_expiry_us && l->token_expiry_us <= e->io->real_us(e->userdata);
	start->user_agent = l->user_agent;
	start->offer = l->offer;
	start->pin = l->pin;
	start->address = l->address;
	start->token = expired ? "" : l->token;
	start->token_mechanism = expired ? "" : l->token_mechanism;
	start->avoid = l->avoid;
	start->ticket = l->ticket;
	e->tried_offer = *start->offer != '\0';
	e->tried_token = *start->token != '\0';
	e->tried_address = *start->address != '\0';
}

void login_learned(struct engine *e, const struct link_login *l)
{
	struct login next;

	copy(&next, &e->login);
	str_set(&next.offer, l->offer);
	str_set(&next.address, l->address);
	/* Only a user makes it weaker: login_reset(). */
	if (l->pin > next.pin)
		next.pin = l->pin;
	store(e, &next);
}

void login_token(struct engine *e, const struct link_token *t)
{
	struct login next;

	copy(&next, &e->login);
	login_drop_token(&next);
	str_set(&next.token, t->token);
	str_set(&next.token_mechanism, t->mechanism);
	next.token_expiry_us = t->expiry_us;
	next.avoid |= t->avoid;
	/* One that is no good is not used again in any case. */
	if (!store(e, &next) && !*t->token)
		login_drop_token(&e->login);
}

/* In memory until something else is stored: without one nothing is slower by a round trip. */
void login_ticket(struct engine *e, const struct link_ticket *t)
{
	login_drop_ticket(&e->login);
	str_set(&e->login.ticket, t->ticket);
}

/* RFC 8446 appendix C.4: not twice, or whoever watches the network could tell that it was the same client. */
void login_started(struct engine *e)
{
	login_drop_ticket(&e->login);
}

void login_guess_failed(struct engine *e)
{
	struct login next;

	e->again |= e->tried_offer || (e->tried_token && !*e->login.token) || (e->tried_address && !*e->login.address);
	e->tried_offer = e->tried_token = e->tried_address = false;
	if (!*e->login.offer)
		return;
	copy(&next, &e->login);
	str_set(&next.offer, "");
	if (!store(e, &next))
		str_set(&e->login.offer, "");
}

void login_reset(struct engine *e)
{
	struct login next;

	copy(&next, &e->login);
	login_forget(&next);
	if (!store(e, &next))
		login_forget(&e->login);
}
