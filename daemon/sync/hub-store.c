/*
 * The archive's side of the hub: the directory, the state that the bus shows, and what is built on an open archive and
 * torn down again.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "store/search.h"
#include "sync/hub-priv.h"
#include "sync/lock.h"

/* The directory is gone, its parent is there: no file system that is not mounted (store/home.c). */
static bool was_removed(const char *dir)
{
	_cleanup_(freep) char *parent = xstrdup(dir);
	char *slash = strrchr(parent, '/');

	if (!slash || slash == parent)
		return false;
	*slash = '\0';
	return access(dir, F_OK) < 0 && errno == ENOENT && access(parent, F_OK) == 0;
}

int hub_take_directory(struct hub *h, char **ret_why)
{
	pid_t pid = 0;
	int r;

	r = was_removed(h->data_dir) && !store_home_away(h->data_dir, h->config_dir) ?
		    store_forget_home(h->data_dir, h->config_dir) :
		    0;
	if (r >= 0)
		r = io_make_dirs(h->data_dir);
	if (r >= 0)
		r = lock_take(h->data_dir, &h->lock_fd, &pid);
	if (r == LOCK_E_HELD) {
		*ret_why = xasprintf("%s is in use by varved with pid %d: stop that one first, or give this one its own "
				     "XDG_DATA_HOME", h->data_dir, (int)pid);
		return HUB_E_IN_USE;
	}
	if (r < 0) {
		*ret_why = xasprintf("cannot use %s: %s; make it a directory that you can write to, or set XDG_DATA_HOME",
				     h->data_dir, strerror(-r));
		return HUB_E_UNUSABLE;
	}
	return 0;
}

void hub_enter(struct hub *h, enum hub_state state, const char *why)
{
	str_set(&h->why, why);
	h->state = state;
	h->state_changed = true;
	hub_tell_soon(h);
}

enum hub_state hub_state(const struct hub *h)
{
	return h->state;
}

struct store *hub_store(struct hub *h)
{
	return h->state == HUB_READY ? h->store : NULL;
}

void hub_archive(const struct hub *h, struct hub_archive *ret)
{
	uint64_t messages = 0, behind = 0;

	*ret = (struct hub_archive){ .state = h->state, .why = h->why };
	if (h->state != HUB_READY)
		return;
	ret->bytes = (uint64_t)store_size(h->store);
	ret->epoch_key = vault_keys(h->vault)->epoch;
	for (size_t i = 0; i < h->n_seats; i++) {
		struct account_status st;

		engine_status(h->seats[i]->engine, &st);
		messages += st.messages;
	}
	if (search_behind(h->store, &behind) == 0)
		ret->to_index = behind < messages ? behind : messages;
	ret->indexed = messages - ret->to_index;
}

int hub_check_ready(const struct hub *h, char **ret_why)
{
	switch (h->state) {
	case HUB_READY:
		if (!h->rotating)
			return 0;
		*ret_why = xstrdup("the keys are being rotated: wait until that has ended");
		return HUB_E_BUSY;
	case HUB_LOCKED:
		*ret_why = xstrdup("the archive is locked: varvectl unlock");
		return HUB_E_LOCKED;
	case HUB_FAILED:
		break;
	}
	*ret_why = xasprintf("the archive is not open: %s", h->why);
	return HUB_E_STORAGE;
}

static int add_seats(struct hub *h)
{
	_cleanup_(freep) struct account *accounts = NULL;
	struct seat *seat;
	size_t n = 0;
	int r;

	r = account_list(h->store, &accounts, &n);
	for (size_t i = 0; i < n; i++) {
		if (r >= 0)
			r = hub_seat_add(h, &accounts[i], &seat);
		if (r >= 0)
			hub_note(h, seat, HUB_ACCOUNT_ADDED);
		account_deinit(&accounts[i]);
	}
	return r < 0 ? err_trace(r) : 0;
}

/* ${why} as the user is told it, once. */
static void not_open(struct hub *h, enum hub_state state, int r, const char *why)
{
	bool passes = hub_reopen_passes(h, r);
	size_t n = strlen(why);
	_cleanup_(freep) char *text = xasprintf("%.*s%s", (int)(n - (passes && n && why[n - 1] == '.')), why,
						!passes		   ? "" :
						state == HUB_LOCKED ? "; varved looks for it again by itself" :
								      ". varved tries again by itself; \"varvectl unlock\" has it try at once.");

	if (h->state != state || strcmp(h->why, text) != 0) {
		if (state == HUB_LOCKED)
			log_warning("the archive is locked: %s", text);
		else
			log_error("%s", text);
		hub_enter(h, state, text);
	}
	hub_reopen_later(h, passes);
}

static void failed(struct hub *h, int r, const char *why)
{
	_cleanup_(freep) char *text = NULL;

	if (!why)
		why = text = xasprintf("the archive in %s does not open: %s", h->data_dir, strerror(-r));
	not_open(h, HUB_FAILED, r, why);
}

int hub_load_keys(struct hub *h)
{
	_cleanup_(freep) char *why = NULL;
	int r;

	h->vault = vault_free(h->vault);
	r = store_find(h->data_dir, h->config_dir, &h->vault, &why);
	if (r == 0)
		return 0;
	failed(h, r, why);
	return HUB_E_STORAGE;
}

void hub_open(struct hub *h)
{
	_cleanup_(freep) char *why = NULL;
	int r;

	if (!h->vault && hub_load_keys(h) != 0)
		return;
	r = store_open(h->vault, &h->store, &why);
	if (r == STORE_E_LOCKED) {
		not_open(h, HUB_LOCKED, r, why);
		return;
	}
	if (r == 0) {
		/* Seats ask hub_seat() for nothing yet; those who are told of them do. */
		r = add_seats(h);
		if (r < 0)
			hub_close(h);
	}
	if (r != 0) {
		failed(h, r, why);
		return;
	}
	r = store_note_home(h->data_dir, h->config_dir);
	if (r < 0)
		log_warning("%s cannot be written (%s): were the archive not there at a next start, a new one would be made",
			    h->config_dir, strerror(-r));
	hub_reopen_end(h);
	hub_enter(h, HUB_READY, "");
	hub_auto_lock_opened(h);
	hub_upkeep_look(h);
	for (size_t i = 0; h->started && i < h->n_seats; i++)
		engine_connect(h->seats[i]->engine);
}

void hub_close(struct hub *h)
{
	hub_tell(h);
	if (h->observer && h->store)
		h->observer(h->observer_data, HUB_STORE_CLOSES, 0);
	hub_diagnose_close(h);
	hub_park_free(h);
	for (size_t i = 0; i < h->n_seats; i++)
		seat_free(h->seats[i]);
	free(h->seats);
	h->seats = NULL;
	h->n_seats = 0;
	if (h->store)
		store_checkpoint(h->store);
	h->store = store_free(h->store);
}
