/*
 * An app on libvarve, for tests/ctl/test_library.py: says what it hears, a line each, and takes its leave where it is told to.
 *
 *     libapp SOCKET run LOOP LEAVE [EPOCH SINCE]   LEAVE: the first word of a line, from inside of whose callback
 *                                                  varve_close() is called; LOOP: wait poll event detach
 *     libapp SOCKET export | active
 *
 * SIGALRM ends it when what it waits for does not come.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "ipc/varve.h"

#define DEADLINE 20 /* seconds: a program under a sanitizer on a busy machine needs two */
#define BOB "bob@example.org"

static struct varve *v;
static struct varve_account *a;
static const char *leave;
static unsigned heard;

static void must(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s: %d %s %s\n", what, r, v ? varve_errname(v) : "", v ? varve_errmsg(v) : "");
	exit(3);
}

__attribute__((format(printf, 2, 3))) static void hear(const char *place, const char *fmt, ...)
{
	va_list ap;

	heard++;
	printf("%s", place);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	if (strcmp(place, leave) == 0)
		v = varve_close(v);
}

static int on_event(void *userdata, const struct varve_event *e)
{
	(void)userdata;
	switch (e->kind) {
	case VARVE_EVENT_MESSAGE:
		hear("message", " %" PRIu64 " %s", e->message->id, e->message->body);
		break;
	case VARVE_EVENT_CONVERSATION:
		hear("conversation", " %s", e->conversation->id);
		break;
	case VARVE_EVENT_CONTACT:
		hear("contact", " %s %u", e->contact->jid, e->contact->flags);
		break;
	case VARVE_EVENT_REMOVED:
		hear("removed", " %s %s", e->removed_kind, e->removed_key);
		break;
	case VARVE_EVENT_POSITION:
		hear("position", " %s %" PRIu64, e->epoch, e->seq);
		break;
	case VARVE_EVENT_RESET:
		hear("reset", " %s %s %" PRIu64, e->name, e->epoch, e->seq);
		break;
	case VARVE_EVENT_TROUBLE:
		hear("trouble", " %s", e->name);
		break;
	case VARVE_EVENT_TYPING:
		hear("typing", " %s %s %s", e->typing_conversation, e->jid, e->state);
		break;
	case VARVE_EVENT_PRESENCE:
		hear("presence", " %s %s %s", e->jid, e->state, e->text);
		break;
	}
	return 0;
}

static void on_connection(void *userdata, bool connected)
{
	(void)userdata;
	hear(connected ? "there" : "lost", "%s", "");
}

static void on_signal(void *userdata, struct sd_bus_message *m)
{
	(void)userdata;
	/* Doorbells come when they like; these only when the test says so. */
	if (sd_bus_message_is_signal(m, VARVE_IFACE_CONVERSATIONS, "Typing") > 0)
		hear("signal", "%s", "");
}

static const char *failure(int r)
{
	return r < 0 ? varve_errname(v) : "ok";
}

static void on_history(void *userdata, int r, struct varve_messages *set)
{
	(void)userdata;
	hear("history", " %s %zu", failure(r), set ? varve_messages_count(set) : 0);
}

/* Keeps what it is given. */
static void on_search(void *userdata, int r, struct varve_messages *set)
{
	struct varve_messages **keep = userdata;
	size_t n = 0;

	if (set) {
		varve_messages_marks(set, 0, &n);
		*keep = varve_messages_ref(set);
	}
	hear("search", " %s %zu %zu", failure(r), set ? varve_messages_count(set) : 0, n);
}

static void on_sent(void *userdata, int r, uint64_t id, bool existing)
{
	(void)userdata;
	hear("sent", " %s %" PRIu64 " %d", failure(r), id, existing);
}

static void on_reply(void *userdata, int r, struct sd_bus_message *reply)
{
	(void)reply;
	hear(userdata, " %s", failure(r));
}

/* A call without arguments but for "a{sv}" whose answer is told as ${place}. */
static void question(const char *member, const char *place, struct varve_slot **ret)
{
	sd_bus_message *m = NULL;

	must(varve_call_new(v, NULL, VARVE_IFACE_MANAGER, member, &m), "varve_call_new");
	must(sd_bus_message_append(m, "a{sv}", 0), "sd_bus_message_append");
	must(varve_call_async(v, m, 0, on_reply, (void *)(uintptr_t)place, ret), "varve_call_async");
	sd_bus_message_unref(m);
}

static int on_busy(sd_event_source *s, void *userdata)
{
	(void)s;
	(void)userdata;
	return 0;
}

/* With something more urgent always at hand we are never served. */
static void come_second(sd_event *event)
{
	sd_event_source *busy;
	uint64_t begin, now;

	must(sd_event_add_defer(event, &busy, on_busy, NULL), "sd_event_add_defer");
	/* Between what is asked for and what everything has by itself. */
	must(sd_event_source_set_priority(busy, 50), "sd_event_source_set_priority");
	must(sd_event_source_set_enabled(busy, SD_EVENT_ON), "sd_event_source_set_enabled");
	/* Long enough for many an answer to be there. */
	for (begin = now = 0; now < begin + 300000; begin = begin ? begin : now) {
		must(sd_event_run(event, 0), "sd_event_run");
		must(sd_event_now(event, CLOCK_MONOTONIC, &now), "sd_event_now");
	}
	if (heard)
		exit(4);
	sd_event_source_disable_unref(busy);
}

static void loop(const char *how)
{
	sd_event *event = NULL;

	must(sd_event_new(&event), "sd_event_new");
	if (strcmp(how, "event") == 0 || strcmp(how, "detach") == 0) {
		must(varve_attach_event(v, event, 100), "varve_attach_event");
		come_second(event);
		while (v && (strcmp(how, "event") == 0 || !heard))
			must(sd_event_run(event, UINT64_MAX), "sd_event_run");
	}
	if (v && strcmp(how, "detach") == 0) {
		must(varve_attach_event(v, NULL, 0), "varve_attach_event");
		hear("detached", "%s", "");
		if (sd_event_run(event, 100000) != 0) /* nothing is watched any more, whatever comes */
			exit(5);
	}
	while (v && strcmp(how, "poll") == 0) {
		struct pollfd p = { .fd = varve_get_fd(v), .events = POLLIN };

		must(poll(&p, 1, -1), "poll");
		must(varve_process(v), "varve_process");
	}
	while (v)
		must(varve_wait(v, UINT64_MAX), "varve_wait");
	sd_event_unref(event);
}

static void run(const char *how, const char *epoch, const char *since)
{
	struct varve_slot *held, *search, *forgotten;
	struct varve_messages *kept = NULL;
	struct varve_follow *f, *second;

	varve_on_connection(v, on_connection, NULL);
	varve_on_signal(v, on_signal, NULL);
	must(varve_history_async(a, &(struct varve_history_query){ .conversation = BOB, .before = 3 }, on_history, NULL, NULL),
	     "varve_history_async");
	must(varve_search_async(a, &(struct varve_search_query){ .query = "word", .limit = 3 }, on_search, &kept, &search),
	     "varve_search_async");
	must(varve_send_async(a, BOB, "the-id", "hello", 0, on_sent, NULL, NULL), "varve_send_async");
	question("Diagnose", "refused", NULL);
	question("GetStatus", "forgotten", &forgotten);
	varve_slot_free(forgotten);
	question("SetInterest", "held", &held);
	/* The second one is there for the first to be freed before it. */
	must(varve_follow(a, epoch, epoch ? strtoull(since, NULL, 10) : 0, VARVE_FOLLOW_EPHEMERAL, on_event, NULL, &f), "varve_follow");
	must(varve_follow(a, NULL, 0, 0, on_event, NULL, &second), "varve_follow");
	varve_follow_free(second);
	loop(how);
	varve_slot_free(held);
	varve_slot_free(search);
	varve_messages_unref(kept);
}

static void export(void)
{
	static const char *const only[] = { BOB, NULL };
	struct varve_job_status s;
	struct varve_job *j;

	must(varve_export(a, STDOUT_FILENO, "text", only, 10, 20, &j), "varve_export");
	while (must(varve_job_get(j, &s), "varve_job_get"), strcmp(s.state, "running") == 0)
		must(varve_wait(v, 10000), "varve_wait");
	printf("%s %" PRIu64 "/%" PRIu64 "\n", s.state, s.done, s.total);
	must(varve_job_cancel(j), "varve_job_cancel");
	varve_job_free(j);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	alarm(DEADLINE);
	setvbuf(stdout, NULL, _IOLBF, 0);
	leave = argc > 4 ? argv[4] : "";
	must(varve_open(argv[1], 0, &v), "varve_open");
	must(varve_account_find(v, NULL, &a), "varve_account_find");
	if (strcmp(argv[2], "run") == 0) {
		run(argv[3], argc > 6 ? argv[5] : NULL, argc > 6 ? argv[6] : NULL);
	} else if (strcmp(argv[2], "export") == 0) {
		export();
	} else {
		must(varve_set_active(v, true), "varve_set_active");
		must(varve_set_active(v, false), "varve_set_active");
	}
	varve_account_free(a);
	varve_close(v);
	return 0;
}
