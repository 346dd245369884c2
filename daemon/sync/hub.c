#define _GNU_SOURCE
#include "sync/hub.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "core/config.h"
#include "sync/engine.h"
#include "sync/hub-priv.h"
#include "sync/peer.h"

#define DRAIN_US (INT64_C(500) * 1000) /* wires say their last <a/> at exit; the session survives without it too */

static void wire_gone(void *userdata, const char *why);

/* ---- what an engine does to the world (engine.h: struct engine_io) ---- */

static void wire_record(void *userdata, const struct link_record *r)
{
	struct seat *seat = userdata;

	if (r->kind == LINK_PINGED)
		hub_pinged(seat, &r->pinged);
	else
		engine_record(seat->engine, r);
}

static int io_spawn(void *userdata)
{
	struct seat *seat = userdata;

	seat->peer = peer_free(seat->peer);
	return peer_new(seat->hub->event, seat->hub->wire_path, wire_record, wire_gone, seat, &seat->peer);
}

static void io_kill(void *userdata)
{
	struct seat *seat = userdata;

	seat->peer = peer_free(seat->peer);
}

static void wire_gone(void *userdata, const char *why)
{
	struct seat *seat = userdata;

	io_kill(seat);
	engine_wire_gone(seat->engine, why);
	hub_park_look(seat->hub);
}

static int io_send(void *userdata, const struct link_record *r)
{
	struct seat *seat = userdata;

	return seat->peer ? peer_send(seat->peer, r) : -ENOTCONN;
}

static void second_record(void *userdata, const struct link_record *r)
{
	struct seat *seat = userdata;

	engine_second_record(seat->engine, r);
}

static void io_second_kill(void *userdata)
{
	struct seat *seat = userdata;

	seat->second = peer_free(seat->second);
}

static void second_gone(void *userdata, const char *why)
{
	struct seat *seat = userdata;

	io_second_kill(seat);
	engine_second_gone(seat->engine, why);
}

static int io_second_spawn(void *userdata, const struct link_record *start)
{
	struct seat *seat = userdata;
	int r;

	io_second_kill(seat);
	r = peer_new(seat->hub->event, seat->hub->wire_path, second_record, second_gone, seat, &seat->second);
	if (r < 0)
		return err_trace(r);
	r = peer_send(seat->second, start);
	if (r < 0)
		io_second_kill(seat);
	return r;
}

static void io_second_promote(void *userdata)
{
	struct seat *seat = userdata;

	io_kill(seat);
	seat->peer = TAKE_PTR(seat->second);
	peer_aim(seat->peer, wire_record, wire_gone);
}

static int on_timer(sd_event_source *s, _unused_ uint64_t usec, void *userdata)
{
	struct seat *seat = userdata;

	for (int i = 0; i < ENGINE_TIMERS; i++)
		if (seat->timers[i] == s)
			engine_timer(seat->engine, (enum engine_timer)i);
	return 0;
}

static void io_timer(void *userdata, enum engine_timer which, int64_t at_us)
{
	struct seat *seat = userdata;
	sd_event_source *s = seat->timers[which];

	if (at_us) {
		sd_event_source_set_time(s, (uint64_t)at_us);
		sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
	} else {
		sd_event_source_set_enabled(s, SD_EVENT_OFF);
	}
}

static int64_t io_boot_us(_unused_ void *userdata)
{
	return clock_boot_us();
}

static int64_t io_real_us(_unused_ void *userdata)
{
	return clock_real_us();
}

static uint32_t io_random(_unused_ void *userdata)
{
	uint32_t v = 0;

	if (getrandom(&v, sizeof(v), 0) != sizeof(v))
		v = (uint32_t)clock_boot_us();
	return v;
}

static void io_event(void *userdata, enum hub_event event)
{
	struct seat *seat = userdata;

	hub_note(seat->hub, seat, event);
}

static int64_t io_asked_us(void *userdata)
{
	return ((struct seat *)userdata)->hub->asked_us;
}

static void io_passing(void *userdata, const struct link_record *r)
{
	hub_passing(userdata, r);
}

static void io_stream(void *userdata, enum engine_stream what)
{
	hub_stream(userdata, what);
}

static const struct engine_io hub_io = {
	.spawn = io_spawn,
	.kill = io_kill,
	.send = io_send,
	.second_spawn = io_second_spawn,
	.second_kill = io_second_kill,
	.second_promote = io_second_promote,
	.timer = io_timer,
	.boot_us = io_boot_us,
	.real_us = io_real_us,
	.random = io_random,
	.event = io_event,
	.asked_us = io_asked_us,
	.passing = io_passing,
	.stream = io_stream,
};

/* ---- events: collected, told from the loop, so that an observer may call anything ---- */

void hub_note(struct hub *h, struct seat *seat, enum hub_event event)
{
	seat->events |= 1u << event;
	/* Looking costs a dozen queries: not before who wrote has the answer. */
	h->look_upkeep = h->look_upkeep || event == HUB_FEED;
	sd_event_source_set_enabled(h->defer, SD_EVENT_ONESHOT);
}

void hub_tell(struct hub *h)
{
	static const enum hub_event order[] = { HUB_ACCOUNT_ADDED, HUB_FEED, HUB_SYNC, HUB_ACCOUNT_STATE };
	bool state = h->state_changed;

	h->state_changed = false;
	if (state && h->observer)
		h->observer(h->observer_data, HUB_STORE, 0);
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

/* ---- seats ---- */

struct seat *seat_free(struct seat *seat)
{
	if (!seat)
		return NULL;
	engine_free(seat->engine);
	peer_free(seat->second);
	peer_free(seat->peer);
	if (seat->hub)
		hub_request_seat_goes(seat);
	hub_presence_free(seat);
	for (int i = 0; i < ENGINE_TIMERS; i++)
		sd_event_source_disable_unref(seat->timers[i]);
	free(seat);
	return NULL;
}
static int make_engine(struct seat *seat, const struct account *a, struct engine **ret)
{
	struct hub *h = seat->hub;
	struct engine_policy policy = {
		.horizon_us = h->config.history_us,
		.metered_us = h->config.metered_us,
		.page_max = h->config.page,
		.lanes = h->config.lanes,
		.deadline_us = h->config.deadline_us,
		.no_receipts = !h->config.receipts,
	};
	int r;

	r = engine_new(h->store, a, &policy, &hub_io, seat, ret);
	if (r < 0)
		return err_trace(r);
	engine_set_active(*ret, !h->inactive);
	engine_set_metered(*ret, h->metered && meterwatch_is_metered(h->metered));
	engine_set_route(*ret, !h->network || netwatch_has_route(h->network));
	return 0;
}

/*
 * How late a timer may be (us; 0 = sd-event's 250 ms, which lets wake-ups coincide). What somebody waits for is not put
 * off for that: it is armed only while there is work.
 */
static uint64_t lateness(enum engine_timer which)
{
	if (which == TIMER_SEND || which == TIMER_STORE)
		return 1;
	return which == TIMER_COMMIT || which == TIMER_DUEL ? 10000 : 0;
}

int hub_seat_add(struct hub *h, const struct account *a, struct seat **ret)
{
	_cleanup_(seat_freep) struct seat *seat = xnew(struct seat);
	int r;

	seat->hub = h;
	for (int i = 0; i < ENGINE_TIMERS; i++) {
		r = sd_event_add_time(h->event, &seat->timers[i], CLOCK_BOOTTIME, 0, lateness((enum engine_timer)i), on_timer,
				      seat);
		if (r < 0)
			return err_origin(r);
		sd_event_source_set_enabled(seat->timers[i], SD_EVENT_OFF);
	}
	r = make_engine(seat, a, &seat->engine);
	if (r < 0)
		return err_trace(r);
	h->seats = xrealloc(h->seats, h->n_seats + 1, sizeof(*h->seats));
	h->seats[h->n_seats++] = seat;
	*ret = TAKE_PTR(seat);
	return 0;
}

int hub_seat_reset(struct seat *seat)
{
	struct engine *fresh;
	int r;

	r = make_engine(seat, engine_account(seat->engine), &fresh);
	if (r < 0)
		return err_trace(r);
	engine_free(seat->engine);
	seat->engine = fresh;
	for (int i = 0; i < ENGINE_TIMERS; i++)
		sd_event_source_set_enabled(seat->timers[i], SD_EVENT_OFF);
	return 0;
}

struct seat *hub_seat(const struct hub *h, int64_t id)
{
	for (size_t i = 0; i < hub_account_count(h); i++)
		if (engine_account(h->seats[i]->engine)->id == id)
			return h->seats[i];
	return NULL;
}

/* ---- opening ---- */

static int read_config(struct hub *h, const char *config_dir, char **ret_why)
{
	_cleanup_(freep) char *path = xasprintf("%s/varve.conf", config_dir), *why = NULL;
	_cleanup_(freep) char *text = xcalloc(1, CONFIG_SIZE_MAX + 1);
	_cleanup_(closep) int fd = -1;
	ssize_t n;

	config_init(&h->config);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	n = fd < 0 ? -1 : read(fd, text, CONFIG_SIZE_MAX);
	if (n < 0) {
		*ret_why = xasprintf("cannot read %s: %s", path, strerror(errno));
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
	h->wire_path = peer_find_wire();
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
	hub_trigger_free(h);
	sd_event_unref(h->event);
	free(h->removed);
	free(h->why);
	free(h->problems);
	free(h->wire_path);
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
	return 0;
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

/* ---- changes that the user asks for: hub-accounts.c ---- */

void hub_note_removed(struct hub *h, int64_t id)
{
	h->removed = xrealloc(h->removed, h->n_removed + 1, sizeof(*h->removed));
	h->removed[h->n_removed++] = id;
	sd_event_source_set_enabled(h->defer, SD_EVENT_ONESHOT);
}

void hub_seat_remove(struct hub *h, struct seat *seat)
{
	int64_t id = engine_account(seat->engine)->id;

	for (size_t i = 0; i < h->n_seats; i++) {
		if (h->seats[i] != seat)
			continue;
		memmove(&h->seats[i], &h->seats[i + 1], (h->n_seats - i - 1) * sizeof(*h->seats));
		h->n_seats--;
		break;
	}
	seat_free(seat);
	hub_note_removed(h, id);
}
