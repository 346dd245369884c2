/*
 * What the user may change: accounts, their secrets, their connections. Bad input is refused here, before anything is
 * stored, with the cause and the next step in words.
 */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/err.h"
#include "base/log.h"
#include "base/step.h"
#include "core/jid.h"
#include "core/text.h"
#include "store/push.h"
#include "sync/hub-priv.h"

#define SECRET_BYTES_MAX 1024 /* = SECRET_MAX of link/vocab.h */
#define CA_BYTES_MAX (1024 * 1024)

static const char not_connected[] = "the account is not connected: the archive cannot be asked";

int hub_storage(int r, char **ret_why)
{
	*ret_why = xasprintf("the archive cannot be written: %s; nothing was changed%s", store_trouble(r),
			     r == -ENOSPC || r == -EDQUOT ? ", free some disk space and try again" : "");
	return HUB_E_STORAGE;
}

static int check_push(const struct account *a, char **ret_why)
{
	_cleanup_(freep) char *own = jid_bare(a->jid);

	if (!*a->push_service)
		return 0;
	if (strchr(a->push_service, '/') || strlen(a->push_service) > JID_MAX || !jid_is_valid(a->push_service)) {
		*ret_why = xasprintf("\"%.200s\" is not the address of a push service: write push.example.org or "
				     "name@example.org", a->push_service);
		return HUB_E_INVALID;
	}
	/* Prosody answers bad-request to that, others would tell us of what we miss. */
	if (jid_bare_equal(a->push_service, own)) {
		*ret_why = xstrdup("the push service is the account itself: it must be another address, as that of a server");
		return HUB_E_INVALID;
	}
	return 0;
}

static int check_account(const struct account *a, char **ret_why)
{
	const char *begin = strstr(a->ca_pem, "-----BEGIN ");

	if (!jid_is_bare_user(a->jid)) {
		*ret_why = xasprintf("\"%.200s\" is not an address as name@server, without a resource", a->jid);
		return HUB_E_INVALID;
	}
	if (!*a->password || strlen(a->password) > SECRET_BYTES_MAX || !text_is_utf8(a->password)) {
		*ret_why = xasprintf("the password is empty, longer than %d bytes or not UTF-8", SECRET_BYTES_MAX);
		return HUB_E_INVALID;
	}
	if (a->port > 65535 || (a->port && !*a->host)) {
		*ret_why = xstrdup("the port is not a number from 1 to 65535: give the server as HOST or HOST:PORT");
		return HUB_E_INVALID;
	}
	if (strlen(a->host) > 255 || strpbrk(a->host, " \t/@")) {
		*ret_why = xasprintf("\"%.200s\" is not a host name or address", a->host);
		return HUB_E_INVALID;
	}
	if (*a->ca_pem && (!begin || strlen(a->ca_pem) > CA_BYTES_MAX || !strstr(begin, "-----END "))) {
		*ret_why = xstrdup("the CA file has no PEM certificate in it: it must have a line "
				   "\"-----BEGIN CERTIFICATE-----\"");
		return HUB_E_INVALID;
	}
	return check_push(a, ret_why);
}

/* XEP-0198 and push want a stable resource; contacts see it: no host name, nothing personal. */
static char *make_resource(void)
{
	static const char hex[] = "0123456789abcdef";
	uint8_t raw[4] = { 0 };
	char text[sizeof(raw) * 2 + 1];

	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		log_debug("no randomness for the resource");
	for (size_t i = 0; i < sizeof(raw); i++) {
		text[i * 2] = hex[raw[i] >> 4];
		text[i * 2 + 1] = hex[raw[i] & 15];
	}
	text[sizeof(text) - 1] = '\0';
	return xasprintf("varve.%s", text);
}

int hub_transaction(struct store *s, int (*fn)(struct store *s, void *arg), void *arg)
{
	int r;

	r = store_begin(s);
	if (r < 0)
		return err_trace(r);
	r = fn(s, arg);
	if (r != 0) {
		store_rollback(s);
		return r;
	}
	r = store_commit(s);
	if (r < 0)
		store_rollback(s);
	return r;
}

static int do_add(struct store *s, void *arg)
{
	return account_add(s, arg);
}

static int do_update(struct store *s, void *arg)
{
	return account_update(s, arg);
}

static int do_remove(struct store *s, void *arg)
{
	return account_remove(s, *(int64_t *)arg);
}

/* As it is compared: folded. */
static void set_push(struct account *row)
{
	char *folded = jid_bare(row->push_service);

	free(row->push_service);
	row->push_service = folded;
}

int hub_account_add(struct hub *h, const struct account *a, int64_t *ret_id, char **ret_why)
{
	struct account row = { 0 };
	struct seat *seat;
	char *bare;
	int r;

	r = hub_check_ready(h, ret_why);
	if (r == 0)
		r = check_account(a, ret_why);
	if (r != 0)
		return r;
	account_copy(&row, a);
	bare = jid_bare(a->jid);
	free(row.jid);
	row.jid = bare;
	free(row.resource);
	row.resource = make_resource();
	set_push(&row);
	r = hub_transaction(h->store, do_add, &row);
	if (r == 0) {
		step("account.add");
		r = hub_seat_add(h, &row, &seat);
	}
	if (r == ACCOUNT_E_EXISTS) {
		*ret_why = xasprintf("%s is already there: change it with account set or account password", row.jid);
		r = HUB_E_EXISTS;
	} else if (r == ACCOUNT_E_LIMIT) {
		*ret_why = xasprintf("there are %d accounts already, which is the limit", ACCOUNTS_MAX);
		r = HUB_E_LIMIT;
	} else if (r < 0) {
		r = hub_storage(r, ret_why);
	} else if (r == 0) {
		*ret_id = row.id;
		hub_note(h, seat, HUB_ACCOUNT_ADDED);
		engine_connect(seat->engine);
	}
	account_deinit(&row);
	return r;
}

int hub_find_seat(struct hub *h, int64_t id, struct seat **ret, char **ret_why)
{
	int r = hub_check_ready(h, ret_why);

	if (r != 0)
		return r;
	*ret = hub_seat(h, id);
	if (*ret)
		return 0;
	*ret_why = xstrdup("there is no such account: see varvectl account list");
	return HUB_E_NOT_FOUND;
}

int hub_account_remove(struct hub *h, int64_t id, char **ret_why)
{
	struct seat *seat;
	int r;

	r = hub_find_seat(h, id, &seat, ret_why);
	if (r != 0)
		return r;
	seat->going = true;
	engine_disconnect(seat->engine);
	if (seat->peer)
		peer_drain(seat->peer, INT64_C(200) * 1000);
	r = hub_transaction(h->store, do_remove, &id);
	seat->going = r == 0;
	if (r < 0)
		return hub_storage(r, ret_why);
	step("account.remove");
	hub_seat_remove(h, seat);
	return 0;
}

int hub_account_update(struct hub *h, const struct account *a, char **ret_why)
{
	struct seat *seat;
	const struct account *old;
	struct account row = { 0 };
	bool reconnect;
	int r;

	r = hub_find_seat(h, a->id, &seat, ret_why);
	if (r != 0)
		return r;
	r = check_account(a, ret_why);
	if (r != 0)
		return r;
	old = engine_account(seat->engine);
	reconnect = strcmp(old->password, a->password) != 0 || strcmp(old->host, a->host) != 0 || old->port != a->port ||
		    old->tls != a->tls || strcmp(old->ca_pem, a->ca_pem) != 0 || old->allow_plain != a->allow_plain;
	account_copy(&row, a);
	set_push(&row);
	r = hub_transaction(h->store, do_update, &row);
	if (r != 0) {
		account_deinit(&row);
		if (r < 0)
			return hub_storage(r, ret_why);
		*ret_why = xasprintf("%d push services wait to be told to forget this account: let it connect first",
				     PUSH_GOING_MAX);
		return HUB_E_LIMIT;
	}
	step("account.update");
	engine_configure(seat->engine, &row, reconnect);
	account_deinit(&row);
	hub_note(h, seat, HUB_ACCOUNT_STATE);
	return 0;
}

int hub_account_connect(struct hub *h, int64_t id, char **ret_why)
{
	struct seat *seat;
	int r;

	r = hub_find_seat(h, id, &seat, ret_why);
	if (r != 0)
		return r;
	if (!engine_account(seat->engine)->enabled) {
		*ret_why = xstrdup("the account is disabled: varvectl account enable first");
		return HUB_E_OFFLINE;
	}
	engine_connect(seat->engine);
	return 0;
}

int hub_account_disconnect(struct hub *h, int64_t id, char **ret_why)
{
	struct seat *seat;
	int r;

	r = hub_find_seat(h, id, &seat, ret_why);
	if (r != 0)
		return r;
	engine_disconnect(seat->engine);
	return 0;
}

int hub_sync_now(struct hub *h, int64_t id, char **ret_why)
{
	struct seat *seat;
	int r;

	r = hub_find_seat(h, id, &seat, ret_why);
	if (r != 0)
		return r;
	r = engine_sync_now(seat->engine);
	if (r == HUB_E_OFFLINE)
		*ret_why = xstrdup(not_connected);
	return r;
}

int hub_sync_pause(struct hub *h, int64_t id, bool pause, char **ret_why)
{
	struct seat *seat;
	int r;

	r = hub_find_seat(h, id, &seat, ret_why);
	if (r != 0)
		return r;
	engine_sync_pause(seat->engine, pause);
	return 0;
}

int hub_verify(struct hub *h, int64_t id, const char *conversation, int64_t since_us, char **ret_why)
{
	_cleanup_(freep) char *folded = NULL;
	struct account_status now;
	struct seat *seat;
	int r;

	r = hub_find_seat(h, id, &seat, ret_why);
	if (r == 0 && *conversation)
		r = hub_check_conversation(conversation, &folded, ret_why);
	if (r != 0)
		return r;
	engine_status(seat->engine, &now);
	if (strcmp(now.state, "online") != 0) {
		*ret_why = xstrdup(not_connected);
		return HUB_E_OFFLINE;
	}
	r = engine_verify(seat->engine, folded ? folded : "", since_us);
	if (r == HUB_E_BUSY)
		*ret_why = xstrdup("this account is being verified already");
	return r;
}

void hub_verify_end(struct hub *h, int64_t id)
{
	struct seat *seat = hub_seat(h, id);

	if (seat)
		engine_verify_forget(seat->engine);
}

const struct verify *hub_verifying(const struct hub *h, int64_t id)
{
	struct seat *seat = hub_seat(h, id);

	return seat ? engine_verifying(seat->engine) : NULL;
}

uint32_t hub_errand(struct hub *h, int64_t id, const struct errand_wish *wish)
{
	struct seat *seat = hub_seat(h, id);

	return seat ? engine_errand(seat->engine, wish) : 0;
}

enum errand_state hub_errand_state(const struct hub *h, int64_t id, uint32_t errand, int64_t *ret_us, const char **ret_why)
{
	struct seat *seat = hub_seat(h, id);

	return seat ? engine_errand_state(seat->engine, errand, ret_us, ret_why) : ERRAND_NONE;
}

void hub_errand_end(struct hub *h, int64_t id, uint32_t errand)
{
	struct seat *seat = hub_seat(h, id);

	if (seat)
		engine_errand_end(seat->engine, errand);
}

void hub_deepen(struct hub *h, int64_t id, int64_t us)
{
	struct seat *seat = hub_seat(h, id);

	if (seat)
		engine_deepen(seat->engine, us);
}
