#include "hub-double.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "core/jid.h"
#include "store/archive.h"
#include "store/outbox.h"

struct seat {
	struct account account;
	struct account_status status;
	struct cover cover;
	struct verify verify;
	enum errand_state errand;
	int64_t archive, start_us, end_us;
	size_t fetching;
};

struct told {
	enum hub_event event;
	int64_t account;
};

struct hub {
	sd_event *event;
	struct store *store;
	struct seat *seats[ACCOUNTS_MAX];
	size_t n;
	hub_observer_fn observer;
	void *observer_data;
	sd_event_source *defer;
	struct told told[1024];
	size_t n_told;
	const char *last_call;
	enum hub_state state;
	enum hub_network network;
	int64_t auto_lock_us;
	bool used;
	char *why;
	/* The diagnosis that has to be told its end. */
	hub_diagnosed_fn diagnosed;
	void *diagnosed_data;
};

static void account_set(struct account *dst, const struct account *src)
{
	struct account old = *dst;

	*dst = *src;
	dst->jid = xstrdup(src->jid);
	dst->password = xstrdup(src->password);
	dst->host = xstrdup(src->host);
	dst->ca_pem = xstrdup(src->ca_pem);
	dst->nick = xstrdup(src->nick);
	dst->resource = xstrdup(src->resource);
	dst->push_service = xstrdup(str_or_empty(src->push_service));
	if (old.jid)
		account_deinit(&old);
}

static struct seat *seat_of(const struct hub *h, int64_t id)
{
	for (size_t i = 0; i < h->n && h->state == HUB_READY; i++)
		if (h->seats[i]->account.id == id)
			return h->seats[i];
	return NULL;
}

static void rest(struct seat *s)
{
	s->status.state = s->account.enabled ? "offline" : "disabled";
	s->status.reason_name = s->status.reason_text = "";
	s->status.resource = s->status.address = s->status.mechanism = "";
	s->status.features = "urn:xmpp:mam:2\nurn:xmpp:sid:0";
	s->status.sync_state = "idle";
	s->status.sync_phase = "";
	s->fetching = SIZE_MAX;
}

static int seat_add(struct hub *h, const struct account *a)
{
	struct seat *s = xnew(struct seat);
	int r;

	account_set(&s->account, a);
	h->seats[h->n++] = s;
	rest(s);
	if ((r = store_begin(h->store)) < 0 || (r = archive_id(h->store, a->id, "", &s->archive)) < 0 ||
	    (r = store_commit(h->store)) < 0)
		return err_trace(r);
	return cover_read(h->store, s->archive, &s->cover);
}

static int on_defer(_unused_ sd_event_source *source, void *userdata)
{
	struct hub *h = userdata;
	size_t n = h->n_told;

	h->n_told = 0;
	for (size_t i = 0; i < n && h->observer; i++)
		h->observer(h->observer_data, h->told[i].event, h->told[i].account);
	if (h->diagnosed) {
		hub_diagnosed_fn fn = h->diagnosed;

		h->diagnosed = NULL;
		fn(h->diagnosed_data, 0);
	}
	return 0;
}

struct hub *hub_double_new(sd_event *event, struct store *store)
{
	struct hub *h = xnew(struct hub);
	struct account *accounts = NULL;
	size_t n = 0;

	h->event = event;
	h->store = store;
	h->last_call = "";
	h->why = xstrdup("");
	if (sd_event_add_defer(event, &h->defer, on_defer, h) < 0 ||
	    sd_event_source_set_enabled(h->defer, SD_EVENT_OFF) < 0 || account_list(store, &accounts, &n) < 0)
		abort();
	for (size_t i = 0; i < n; i++) {
		if (seat_add(h, &accounts[i]) < 0)
			abort();
		account_deinit(&accounts[i]);
	}
	free(accounts);
	return h;
}

static void seat_free(struct seat *s)
{
	verify_deinit(&s->verify);
	account_deinit(&s->account);
	cover_deinit(&s->cover);
	free(s);
}

struct hub *hub_free(struct hub *h)
{
	if (!h)
		return NULL;
	for (size_t i = 0; i < h->n; i++)
		seat_free(h->seats[i]);
	sd_event_source_disable_unref(h->defer);
	free(h->why);
	free(h);
	return NULL;
}

struct account_status *hub_double_status(struct hub *h, int64_t account)
{
	struct seat *s = seat_of(h, account);

	return s ? &s->status : NULL;
}

struct cover *hub_double_cover(struct hub *h, int64_t account)
{
	return &seat_of(h, account)->cover;
}

void hub_double_set_fetching(struct hub *h, int64_t account, size_t span)
{
	seat_of(h, account)->fetching = span;
}

void hub_double_set_ends(struct hub *h, int64_t account, int64_t start_us, int64_t end_us)
{
	seat_of(h, account)->start_us = start_us;
	seat_of(h, account)->end_us = end_us;
}

void hub_double_tell(struct hub *h, enum hub_event event, int64_t account)
{
	for (size_t i = 0; i < h->n_told; i++)
		if (h->told[i].event == event && h->told[i].account == account)
			return;
	if (h->n_told == ARRAY_SIZE(h->told))
		abort();
	h->told[h->n_told++] = (struct told){ event, account };
	sd_event_source_set_enabled(h->defer, SD_EVENT_ONESHOT);
}

void hub_double_called(struct hub *h, const char *name)
{
	h->last_call = name;
}

const char *hub_double_last_call(const struct hub *h)
{
	return h->last_call;
}

void hub_observe(struct hub *h, hub_observer_fn fn, void *userdata)
{
	h->observer = fn;
	h->observer_data = userdata;
}

struct store *hub_store(struct hub *h)
{
	return h->state == HUB_READY ? h->store : NULL;
}

enum hub_state hub_state(const struct hub *h)
{
	return h->state;
}

void hub_archive(const struct hub *h, struct hub_archive *ret)
{
	*ret = (struct hub_archive){ .state = h->state, .why = h->why };
	if (h->state == HUB_READY)
		ret->bytes = (uint64_t)store_size(h->store);
}

int hub_problems(_unused_ const struct hub *h, _unused_ hub_problem_fn fn, _unused_ void *userdata)
{
	return 0;
}

void hub_double_set_state(struct hub *h, enum hub_state state, const char *why)
{
	h->state = state;
	str_set(&h->why, why);
	hub_double_tell(h, HUB_STORE, 0);
	for (size_t i = 0; i < h->n; i++)
		hub_double_tell(h, state == HUB_READY ? HUB_ACCOUNT_ADDED : HUB_ACCOUNT_REMOVED, h->seats[i]->account.id);
}

int hub_account_add(struct hub *h, const struct account *a, int64_t *ret_id, char **ret_why)
{
	struct account copy = { 0 };
	int r;

	account_set(&copy, a);
	r = store_begin(h->store);
	if (r == 0)
		r = account_add(h->store, &copy);
	if (r == 0)
		r = store_commit(h->store);
	else
		store_rollback(h->store);
	if (r == 0)
		r = seat_add(h, &copy);
	*ret_id = copy.id;
	if (r == ACCOUNT_E_EXISTS)
		*ret_why = xasprintf("the account %s exists already", a->jid);
	account_deinit(&copy);
	if (r == 0)
		hub_double_tell(h, HUB_ACCOUNT_ADDED, *ret_id);
	return r == ACCOUNT_E_EXISTS ? HUB_E_EXISTS : r == ACCOUNT_E_LIMIT ? HUB_E_LIMIT : r;
}

int hub_account_remove(struct hub *h, int64_t id, char **ret_why)
{
	struct seat *s = seat_of(h, id);
	int r;

	if (!s) {
		*ret_why = xstrdup("there is no such account");
		return HUB_E_NOT_FOUND;
	}
	if ((r = store_begin(h->store)) < 0 || (r = account_remove(h->store, id)) < 0 || (r = store_commit(h->store)) < 0)
		return err_trace(r);
	for (size_t i = 0; i < h->n; i++)
		if (h->seats[i] == s)
			h->seats[i] = h->seats[--h->n];
	seat_free(s);
	hub_double_tell(h, HUB_ACCOUNT_REMOVED, id);
	return 0;
}

int hub_account_update(struct hub *h, const struct account *a, _unused_ char **ret_why)
{
	struct seat *s = seat_of(h, a->id);
	int r;

	if (!s)
		return HUB_E_NOT_FOUND;
	if ((r = store_begin(h->store)) < 0 || (r = account_update(h->store, a)) < 0 || (r = store_commit(h->store)) < 0)
		return err_trace(r);
	account_set(&s->account, a);
	s->status.state = a->enabled ? "offline" : "disabled";
	h->last_call = "update";
	hub_double_tell(h, HUB_ACCOUNT_STATE, a->id);
	return 0;
}

int hub_account_connect(struct hub *h, int64_t id, char **ret_why)
{
	h->last_call = "connect";
	if (seat_of(h, id)->account.enabled)
		return 0;
	*ret_why = xstrdup("the account is disabled: enable it first");
	return HUB_E_OFFLINE;
}

int hub_account_disconnect(struct hub *h, _unused_ int64_t id, _unused_ char **ret_why)
{
	h->last_call = "disconnect";
	return 0;
}

int hub_sync_now(struct hub *h, int64_t id, char **ret_why)
{
	h->last_call = "sync-now";
	if (strcmp(seat_of(h, id)->status.state, "online") == 0)
		return 0;
	*ret_why = xstrdup("the account is not connected: see varvectl status");
	return HUB_E_OFFLINE;
}

int hub_sync_pause(struct hub *h, int64_t id, bool pause, _unused_ char **ret_why)
{
	h->last_call = pause ? "pause" : "resume";
	seat_of(h, id)->status.sync_state = pause ? "paused" : "idle";
	hub_double_tell(h, HUB_SYNC, id);
	return 0;
}

int hub_verify(struct hub *h, int64_t id, const char *conversation, int64_t since_us, char **ret_why)
{
	struct seat *s = seat_of(h, id);

	h->last_call = "verify";
	if (s->verify.with && s->verify.state < VERIFY_DONE) {
		*ret_why = xstrdup("this account is being verified already");
		return HUB_E_BUSY;
	}
	verify_deinit(&s->verify);
	verify_init(&s->verify, conversation, since_us);
	s->verify.top_us = s->verify.cursor_us = 2000 * INT64_C(1000000);
	s->verify.oldest_us = 1000 * INT64_C(1000000);
	return 0;
}

void hub_verify_end(struct hub *h, int64_t id)
{
	/* Also when the archive has been locked meanwhile. */
	for (size_t i = 0; i < h->n; i++)
		if (h->seats[i]->account.id == id)
			verify_deinit(&h->seats[i]->verify);
}

const struct verify *hub_verifying(const struct hub *h, int64_t id)
{
	return seat_of(h, id) && seat_of(h, id)->verify.with ? &seat_of(h, id)->verify : NULL;
}

uint32_t hub_errand(struct hub *h, int64_t id, const struct errand_wish *wish)
{
	struct seat *s = seat_of(h, id);

	h->last_call = wish->pages ? "errand before" : "errand";
	s->errand = ERRAND_RUNNING;
	return 7;
}

enum errand_state hub_errand_state(const struct hub *h, int64_t id, _unused_ uint32_t errand, _unused_ int64_t *ret_us,
				   const char **ret_why)
{
	struct seat *s = seat_of(h, id);

	*ret_why = "the server's answers lead nowhere";
	return s ? s->errand : ERRAND_NONE;
}

void hub_errand_end(_unused_ struct hub *h, _unused_ int64_t id, _unused_ uint32_t errand)
{
}

void hub_deepen(struct hub *h, _unused_ int64_t id, _unused_ int64_t us)
{
	h->last_call = "deepen";
}

void hub_double_errand(struct hub *h, int64_t account, enum errand_state state)
{
	seat_of(h, account)->errand = state;
	hub_double_tell(h, HUB_SYNC, account);
}

struct verify *hub_double_verify(struct hub *h, int64_t account)
{
	return &seat_of(h, account)->verify;
}

size_t hub_account_count(const struct hub *h)
{
	return h->state == HUB_READY ? h->n : 0;
}

int64_t hub_account_id(const struct hub *h, size_t i)
{
	return h->seats[i]->account.id;
}

const struct account *hub_account(const struct hub *h, int64_t id)
{
	const struct seat *s = seat_of(h, id);

	return s ? &s->account : NULL;
}

int hub_status(const struct hub *h, int64_t id, struct account_status *ret)
{
	const struct seat *s = seat_of(h, id);

	if (!s)
		return HUB_E_NOT_FOUND;
	*ret = s->status;
	ret->gaps = (uint32_t)cover_count_gaps(&s->cover, false);
	ret->lost = (uint32_t)cover_count_gaps(&s->cover, true);
	return 0;
}

enum hub_network hub_network(const struct hub *h)
{
	return h->network;
}

void hub_double_set_network(struct hub *h, enum hub_network network)
{
	h->network = network;
	hub_double_tell(h, HUB_NETWORK, 0);
}

int64_t hub_auto_lock_us(const struct hub *h)
{
	return h->auto_lock_us;
}

int hub_set_auto_lock(struct hub *h, int64_t us, char **ret_why)
{
	if (us && (us < AUTO_LOCK_MIN_US || us > AUTO_LOCK_MAX_US)) {
		*ret_why = xstrdup("not so long");
		return HUB_E_INVALID;
	}
	h->auto_lock_us = us;
	return 0;
}

void hub_set_used(struct hub *h, bool used)
{
	h->used = used;
}

bool hub_double_used(const struct hub *h)
{
	return h->used;
}

int hub_outbox(const struct hub *h, int64_t id, struct outbox_status *ret)
{
	struct outbox_counts n = { 0 };
	int r = seat_of(h, id) ? outbox_count(h->store, id, &n) : HUB_E_NOT_FOUND;

	*ret = (struct outbox_status){ .queued = n.queued, .sending = n.sending + n.doubt, .failed = n.failed };
	return r;
}

const struct cover *hub_cover(const struct hub *h, int64_t id, int64_t *ret_archive)
{
	const struct seat *s = seat_of(h, id);

	if (!s)
		return NULL;
	*ret_archive = s->archive;
	return &s->cover;
}

bool hub_fetching(const struct hub *h, int64_t id, size_t i)
{
	const struct seat *s = seat_of(h, id);

	return s && s->fetching == i;
}

void hub_archive_ends(const struct hub *h, int64_t id, int64_t *ret_start_us, int64_t *ret_end_us)
{
	const struct seat *s = seat_of(h, id);

	*ret_start_us = s ? s->start_us : 0;
	*ret_end_us = s ? s->end_us : 0;
}

int hub_diagnose(struct hub *h, bool deep, hub_check_fn fn, hub_diagnosed_fn done, void *userdata, char **ret_why)
{
	int r;

	if (h->diagnosed) {
		*ret_why = xstrdup("the archive is being checked already: wait for that");
		return HUB_E_BUSY;
	}
	r = fn(userdata, "database", "ok", deep ? "the archive is whole, deep down" : "the archive is whole", "");
	if (r >= 0)
		r = fn(userdata, "network", "skip", "there is no network in this test", "nothing to do");
	if (r < 0)
		return r;
	h->diagnosed = done;
	h->diagnosed_data = userdata;
	sd_event_source_set_enabled(h->defer, SD_EVENT_ONESHOT);
	return 0;
}

void hub_diagnose_abandon(struct hub *h, const void *userdata)
{
	if (h->diagnosed_data == userdata)
		h->diagnosed = NULL;
}
