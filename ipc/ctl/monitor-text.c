#include "ipc/ctl/monitor-text.h"

#include <stdio.h>
#include <string.h>

#include "ipc/ctl/row.h"
#include "ipc/ctl/term.h"
#include "ipc/ctl/text.h"
#include "ipc/ctl/time.h"
#include "ipc/ctl/util.h"

#define LINE_INDENT 7 /* below the text, as history has it: behind most ids */

static uint64_t hash(uint64_t h, const char *s)
{
	/* FNV-1a; the NUL too, so that ("ab","c") is not ("a","bc"). */
	do {
		h = (h ^ (unsigned char)*s) * UINT64_C(1099511628211);
	} while (*s++);
	return h;
}

static struct shown shown_of(const struct varve_message *m)
{
	struct shown s = { .id = m->id, .state = m->state, .text = hash(m->edited_usec ? 1 : 0, m->body) };

	s.text = hash(s.text, m->kind);
	for (size_t i = 0; i < m->n_reactions; i++) {
		s.reactions = hash(s.reactions + 1, m->reactions[i].sender);
		for (const char *const *e = m->reactions[i].emoji; *e; e++)
			s.reactions = hash(s.reactions, *e);
	}
	return s;
}

static char *reactions_of(const struct varve_message *m)
{
	char *all = xstrdup("");

	for (size_t i = 0; i < m->n_reactions; i++) {
		char *longer = xasprintf("%s%s%.*s", all, *all ? ", " : "", (int)strcspn(m->reactions[i].sender, "@/"),
					 m->reactions[i].sender);

		free(all);
		all = longer;
		for (const char *const *e = m->reactions[i].emoji; *e; e++) {
			longer = xasprintf("%s %s", all, *e);
			free(all);
			all = longer;
		}
	}
	return all;
}

static char *why_of(const struct varve_message *m)
{
	return *m->error || *m->error_text ? xasprintf(": %s", *m->error_text ? m->error_text : m->error) : xstrdup("");
}

/* All of it. */
static char *whole(const struct varve_message *m)
{
	_cleanup_(freep) char *author = message_author(m), *why = why_of(m), *reactions = reactions_of(m);
	char when[TIME_HUMAN_SIZE];

	return xasprintf("%llu %s %s <%s> %s%s%s%s%s%s%s%s%s", (unsigned long long)m->id,
			 time_compact(m->time_usec, now_real(), when), m->conversation, author, message_label(m), message_text(m),
			 message_edited(m), m->direction ? " (" : "",
			 m->direction ? varve_state_name(m->state) : "", m->direction ? why : "", m->direction ? ")" : "",
			 *reactions ? " / " : "", reactions);
}

/* What became of it since it was shown; NULL: nothing that people see. */
static char *message_line(struct monitor_text *t, const struct varve_message *m)
{
	struct shown now = shown_of(m), *before = &t->shown[m->id % SHOWN_MAX], was = *before;
	_cleanup_(freep) char *why = why_of(m), *reactions = reactions_of(m);

	*before = now;
	if (was.id != m->id || was.text != now.text)
		return whole(m);
	if (was.reactions != now.reactions)
		return xasprintf("%llu %s", (unsigned long long)m->id, *reactions ? reactions : "no reactions any more");
	if (was.state != now.state)
		return xasprintf("%llu %s%s", (unsigned long long)m->id, varve_state_name(m->state), why);
	return NULL;
}

static char *event_line(struct monitor_text *t, const struct varve_event *e)
{
	switch (e->kind) {
	case VARVE_EVENT_MESSAGE:
		return message_line(t, e->message);
	case VARVE_EVENT_CONVERSATION:
		return e->conversation->unread ? xasprintf("%s: %u unread", e->conversation->id, e->conversation->unread) :
						 NULL;
	case VARVE_EVENT_CONTACT:
		return xasprintf("contact %s%s%s%s: subscription %s%s%s", e->contact->jid, *e->contact->name ? " (" : "",
				 e->contact->name, *e->contact->name ? ")" : "", e->contact->subscription,
				 e->contact->flags & VARVE_CONTACT_BLOCKED ? ", blocked" : "",
				 e->contact->flags & VARVE_CONTACT_ASKING ? ", asks to see your presence" : "");
	case VARVE_EVENT_REMOVED:
		return xasprintf("%s %s is gone", e->removed_kind, e->removed_key);
	case VARVE_EVENT_RESET:
		return xstrdup("-- the feed begins anew: read everything again --");
	case VARVE_EVENT_TYPING:
		return xasprintf("%s: %s", e->jid, strcmp(e->state, "composing") == 0 ? "is typing ..." : e->state);
	case VARVE_EVENT_PRESENCE:
		return xasprintf("%s is %s%s%s", e->jid, *e->state ? e->state : "online", *e->text ? ": " : "", e->text);
	case VARVE_EVENT_POSITION:
	case VARVE_EVENT_TROUBLE:
		break;
	}
	return NULL;
}

void monitor_text_put(struct monitor_text *t, const struct varve_event *e)
{
	_cleanup_(freep) char *raw = event_line(t, e), *clean = NULL;
	bool message = e->kind == VARVE_EVENT_MESSAGE;
	enum color color = !message ? COLOR_DIM : e->message->state == VARVE_FAILED ? COLOR_RED : COLOR_OFF;

	if (!raw)
		return;
	clean = text_clean(raw, false);
	term_put(stdout, color, clean, 0, LINE_INDENT);
}
