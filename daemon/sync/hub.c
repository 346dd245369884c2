#define _GNU_SOURCE
#include "sync/hub.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "core/config.h"
#include "sync/engine.h"
#include "sync/hub-priv.h"
#include "sync/peer.h"

#define DRAIN_US (INT64_C(500) * 1000) /* wires say their last <a/> at exit; the session survives without it too */

/* ---- events: collected, told from the loop, so that an observer may call anything ---- */

void hub_tell_soon(struct hub *h)
{
	sd_event_source_set_enabled(h->defer, SD_EVENT_ONESHOT);
}

void hub_note(struct hub *h, struct seat *seat, enum hub_event event)
{
	seat->events |= 1u << event;
	/* Looking costs a dozen queries: not before who wrote has the answer. */
	h->look_upkeep = h->look_upkeep || event == HUB_FEED;
	hub_tell_soon(h);
}

void hub_note_removed(struct hub *h, int64_t id)
{
	h->removed = xrealloc(h->removed, h->n_removed + 1, sizeof(*h->removed));
	h->removed[h->n_removed++] = id;
	hub_tell_soon(h);
}

void hub_tell(struct hub *h)
{
	static const enum hub_event order[] = { HUB_ACCOUNT_ADDED, HUB_FEED, HUB_SYNC, HUB_ACCOUNT_STATE };
	enum hub_network network = hub_network(h);
	bool state = h->state_changed, moved = network != h->network_told;

	h->state_changed = false;
	h->network_told = network;
	if (state && h->observer)
		h->observer(h->observer_data, HUB_STORE, 0);
	if (moved && h->observer)
		h->observer(h->observer_data, HUB_NETWORK, 0);
	for (size_t i = 0; i < h->n_removed; i++)
		if (h->observer)
			h->observer(h->observer_data, HUB_ACCOUNT_REMOVED, h->removed[i]);
	h->n_removed = 0;
	for (size_t i = 0; i < hub_account_count(h); i++) {
		unsigned int events = h->seats[i]->events;
		int64_t id = engine_account(h->seats[i]->engine)->id;

		h->seats[i]->events = 0;
		for (size_t k = 0; h->observer && k < ARRAY_SIZE(order); k++)
			if (events & 1u << order[k])
				h->observer(h->observer_data, order[k], id);
	}
	hub_request_tell(h);
	if (h->look_upkeep)
		hub_upkeep_look(h);
	h->look_upkeep = false;
}

static int on_defer(_unused_ sd_event_source *s, void *userdata)
{
	hub_tell(userdata);
	return 0;
}

void hub_observe(struct hub *h, hub_observer_fn fn, void *userdata)
{
	h->observer = fn;
	h->observer_data = userdata;
}

/* ---- opening ---- */

/* All of varve.conf, or "" if there is none: NULL, or what is wrong with the file; static. */
static const char *load_config(const char *path, char text[CONFIG_SIZE_MAX + 2])
{
	/* NONBLOCK: opening a FIFO that somebody put there must not wait. */
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? NULL : strerror(errno);
	if (fstat(fd, &st) < 0)
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "it is not a regular file";
	n = io_read(fd, text, CONFIG_SIZE_MAX + 1);
	if (n < 0)
		return strerror((int)-n);
	if (n > CONFIG_SIZE_MAX)
		return "it is larger than 64 kB";
	/* What follows would be left out. */
	return strlen(text) < (size_t)n ? "there is a zero byte in it" : NULL;
}

static int read_config(struct hub *h, const char *config_dir, char **ret_why)
{
	_cleanup_(freep) char *path = xasprintf("%s/varve.conf", config_dir), *why = NULL;
	_cleanup_(freep) char *text = xcalloc(1, CONFIG_SIZE_MAX + 2);
	const char *bad;

	config_init(&h->config);
	bad = load_config(path, text);
	if (bad) {
		*ret_why = xasprintf("cannot read %s: %s", path, bad);
		return HUB_E_INVALID;
	}
	if (config_parse(&h->config, text, &why) > 0) {
		*ret_why = xasprintf("%s: %s", path, why);
		return HUB_E_INVALID;
	}
	if (h->config.log_level && !getenv("VARVE_LOG"))
		log_set_level((enum log_level)h->config.log_level);
	return 0;
}

int hub_new(sd_event *event, const char *data_dir, const char *config_dir, struct hub **ret, char **ret_why)
{
	_cleanup_(hub_freep) struct hub *h = xnew(struct hub);
	int r;

	h->lock_fd = -1;
	h->state = HUB_LOCKED; /* whoever looks at a hub that fails below finds no archive */
	h->event = sd_event_ref(event);
	peer_find_wire(&h->wire);
	h->data_dir = xstrdup(data_dir);
	h->config_dir = xstrdup(config_dir);
	r = read_config(h, config_dir, ret_why);
	if (r == 0)
		r = hub_take_directory(h, ret_why);
	if (r != 0)
		return r;
	r = sd_event_add_defer(event, &h->defer, on_defer, h);
	if (r < 0)
		return err_origin(r);
	sd_event_source_set_enabled(h->defer, SD_EVENT_OFF);
	r = hub_upkeep_init(h);
	if (r >= 0)
		r = hub_auto_lock_init(h);
	if (r >= 0)
		r = hub_reopen_init(h);
	if (r < 0)
		return err_trace(r);
	hub_enter(h, HUB_LOCKED, "varved is starting.");
	*ret = TAKE_PTR(h);
	return 0;
}

int hub_start(struct hub *h)
{
	h->started = true;
	hub_trigger_init(h);
	hub_open(h);
	return 0;
}

struct hub *hub_free(struct hub *h)
{
	if (!h)
		return NULL;
	h->observer = NULL;
	h->ephemeral = NULL;
	h->started = false;
	hub_problems_log(h);
	hub_diagnose_free(h);
	keyring_free(h);
	for (size_t i = 0; i < h->n_seats; i++)
		engine_suspend(h->seats[i]->engine);
	for (size_t i = 0; i < h->n_seats; i++)
		if (h->seats[i]->peer)
			peer_drain(h->seats[i]->peer, DRAIN_US);
	hub_close(h);
	hub_request_free(h);
	vault_free(h->vault);
	sd_event_source_disable_unref(h->defer);
	hub_upkeep_free(h);
	hub_auto_lock_free(h);
	hub_reopen_free(h);
	hub_trigger_free(h);
	sd_event_unref(h->event);
	free(h->removed);
	free(h->why);
	free(h->problems);
	peer_forget_wire(&h->wire);
	free(h->data_dir);
	free(h->config_dir);
	if (h->lock_fd >= 0)
		close(h->lock_fd);
	free(h);
	return NULL;
}

size_t hub_account_count(const struct hub *h)
{
	return h->state == HUB_READY ? h->n_seats : 0;
}

int64_t hub_account_id(const struct hub *h, size_t i)
{
	return engine_account(h->seats[i]->engine)->id;
}

const struct account *hub_account(const struct hub *h, int64_t id)
{
	struct seat *seat = hub_seat(h, id);

	return seat ? engine_account(seat->engine) : NULL;
}

int hub_status(const struct hub *h, int64_t id, struct account_status *ret)
{
	struct seat *seat = hub_seat(h, id);

	if (!seat)
		return HUB_E_NOT_FOUND;
	engine_status(seat->engine, ret);
	/* An engine does not sleep: what it does then, it does in the moments before. */
	if (h->asleep && strcmp(ret->state, "disabled") != 0 && !hub_is_off(ret))
		ret->state = "suspended";
	return 0;
}

int hub_outbox(const struct hub *h, int64_t id, struct outbox_status *ret)
{
	struct seat *seat = hub_seat(h, id);

	return seat ? engine_outbox(seat->engine, ret) : HUB_E_NOT_FOUND;
}

const struct cover *hub_cover(const struct hub *h, int64_t id, int64_t *ret_archive)
{
	struct seat *seat = hub_seat(h, id);

	return seat ? engine_cover(seat->engine, ret_archive) : NULL;
}

bool hub_fetching(const struct hub *h, int64_t id, size_t i)
{
	struct seat *seat = hub_seat(h, id);

	return seat && engine_fetching(seat->engine, i);
}

void hub_archive_ends(const struct hub *h, int64_t id, int64_t *ret_start_us, int64_t *ret_end_us)
{
	struct seat *seat = hub_seat(h, id);

	*ret_start_us = *ret_end_us = 0;
	if (seat)
		engine_archive_ends(seat->engine, ret_start_us, ret_end_us);
}
