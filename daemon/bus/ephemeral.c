#include "bus/ephemeral.h"

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "bus/lease.h"
#include "bus/rows.h"
#include "bus/tree.h"
#include "ipc/names.h"
#include "sync/hub-send.h"

void ephemeral_deinit(struct ephemeral *e)
{
	sd_bus_message_unref(e->signal);
}

static int begin(struct ephemeral *e, sd_bus *bus, const char *interface, const char *member)
{
	_cleanup_(freep) char *path = tree_path(e->account);
	int r = sd_bus_message_new_signal(bus, &e->signal, path, interface, member);

	return r < 0 ? err_trace(r) : 0;
}

static void spread(struct ephemeral *e, sd_bus *bus, int made)
{
	int r = made < 0 ? made : sd_bus_send(bus, e->signal, NULL);

	if (r < 0)
		log_debug("bus: an ephemeral signal was lost: %d", r);
	if (made < 0)
		e->signal = sd_bus_message_unref(e->signal);
}

static int make_typing(struct ephemeral *e, sd_bus *bus, const char *conversation, const char *sender, const char *state)
{
	int r;

	if ((r = begin(e, bus, VARVE_IFACE_CONVERSATIONS, "Typing")) < 0 ||
	    (r = rows_text(e->signal, conversation)) < 0 ||
	    (r = rows_text(e->signal, sender)) < 0 ||
	    (r = rows_text(e->signal, state)) < 0)
		return err_trace(r);
	return 0;
}

void ephemeral_typing(struct ephemeral *e, sd_bus *bus, const char *conversation, const char *sender, uint32_t chat_state)
{
	const char *state = typing_name(chat_state);

	if (state)
		spread(e, bus, e->signal ? 0 : make_typing(e, bus, conversation, sender, state));
}

void ephemeral_presence(struct ephemeral *e, sd_bus *bus, const struct presence_row *row)
{
	int r = 0;

	if (!e->signal && (r = begin(e, bus, VARVE_IFACE_ROSTER, "Presence")) == 0)
		r = rows_presence_fields(e->signal, row->jid, row->show, row->status, row->priority);
	spread(e, bus, r);
}
