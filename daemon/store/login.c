#include "store/login.h"

#include <string.h>

#include "base/err.h"
#include "store/db.h"

static void wipe(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
}

void login_drop_token(struct login *l)
{
	wipe(l->token);
	str_set(&l->token, "");
	str_set(&l->token_mechanism, "");
	l->token_expiry_us = 0;
}

void login_drop_ticket(struct login *l)
{
	wipe(l->ticket);
	str_set(&l->ticket, "");
}

void login_forget(struct login *l)
{
	login_drop_token(l);
	login_drop_ticket(l);
	str_set(&l->offer, "");
	str_set(&l->address, "");
	l->pin = 0;
	l->avoid = 0;
}

void login_deinit(struct login *l)
{
	wipe(l->token);
	wipe(l->ticket);
	free(l->user_agent);
	free(l->offer);
	free(l->token);
	free(l->token_mechanism);
	free(l->address);
	free(l->ticket);
	*l = (struct login){ 0 };
}

int login_load(struct store *s, int64_t account, struct login *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_LOGIN_GET);
	int r;

	put_i(&q, account);
	r = db_row(&q);
	if (r < 0)
		return err_trace(r);
	*ret = (struct login){
		.user_agent = xstrdup(r ? col_t(&q, 0) : ""),
		.offer = xstrdup(r ? col_t(&q, 1) : ""),
		.pin = r ? (uint32_t)col_i(&q, 2) : 0,
		.token = xstrdup(r ? col_t(&q, 3) : ""),
		.token_mechanism = xstrdup(r ? col_t(&q, 4) : ""),
		.token_expiry_us = r ? col_i(&q, 5) : 0,
		.avoid = r ? (uint32_t)col_i(&q, 6) : 0,
		.address = xstrdup(r ? col_t(&q, 7) : ""),
		.ticket = xstrdup(r ? col_t(&q, 8) : ""),
	};
	return 0;
}

int login_save(struct store *s, int64_t account, const struct login *l)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_LOGIN_PUT);
	int r;

	put_i(&q, account);
	put_t(&q, str_or_empty(l->user_agent));
	put_n(&q, str_or_empty(l->offer));
	put_i(&q, l->pin);
	put_n(&q, str_or_empty(l->token));
	put_n(&q, str_or_empty(l->token_mechanism));
	put_i(&q, l->token_expiry_us);
	put_i(&q, l->avoid);
	put_n(&q, str_or_empty(l->address));
	put_n(&q, str_or_empty(l->ticket));
	r = db_run(&q);
	return r < 0 ? err_trace(r) : 0;
}
