#include "sync/meterwatch.h"

#include <stdint.h>
#include <systemd/sd-bus.h>

#include "base/err.h"
#include "base/log.h"

#define NM "org.freedesktop.NetworkManager"
#define NM_PATH "/org/freedesktop/NetworkManager"
#define PROPERTIES "org.freedesktop.DBus.Properties"

/* NMMetered of NetworkManager's API. A guess (a phone that shares its connection) is right more often than not. */
enum { NM_METERED_YES = 1, NM_METERED_GUESS_YES = 3 };

struct meterwatch {
	meterwatch_fn fn;
	void *userdata;
	sd_bus *bus;
	bool metered;
};

static void note(struct meterwatch *w, bool metered)
{
	if (metered == w->metered)
		return;
	log_debug("network: %smetered, says NetworkManager", metered ? "" : "not ");
	w->metered = metered;
	w->fn(w->userdata, metered);
}

static int on_value(sd_bus_message *m, void *userdata, _unused_ sd_bus_error *error)
{
	uint32_t value = 0;

	/* Nobody of that name, or one that does not know: free. */
	if (sd_bus_message_is_method_error(m, NULL) || sd_bus_message_read(m, "v", "u", &value) < 0)
		value = 0;
	note(userdata, value == NM_METERED_YES || value == NM_METERED_GUESS_YES);
	return 0;
}

static int ask(struct meterwatch *w)
{
	return sd_bus_call_method_async(w->bus, NULL, NM, NM_PATH, PROPERTIES, "Get", on_value, w, "ss", NM, "Metered");
}

/* It says that something is another; which one is not worth reading: it is asked, seldom. */
static int on_changed(_unused_ sd_bus_message *m, void *userdata, _unused_ sd_bus_error *error)
{
	ask(userdata);
	return 0;
}

static int on_bus_gone(_unused_ sd_bus_message *m, void *userdata, _unused_ sd_bus_error *error)
{
	note(userdata, false);
	return 0;
}

static int watch(struct meterwatch *w, sd_event *event)
{
	int r;

	r = sd_bus_open_system(&w->bus);
	if (r >= 0)
		r = sd_bus_match_signal(w->bus, NULL, NULL, NULL, "org.freedesktop.DBus.Local", "Disconnected", on_bus_gone, w);
	if (r >= 0)
		r = sd_bus_add_match_async(w->bus, NULL,
					   "type='signal',sender='" NM "',path='" NM_PATH "',interface='" PROPERTIES
					   "',member='PropertiesChanged',arg0='" NM "'",
					   on_changed, NULL, w);
	if (r >= 0)
		r = sd_bus_add_match_async(w->bus, NULL,
					   "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
					   "member='NameOwnerChanged',arg0='" NM "'",
					   on_changed, NULL, w);
	if (r >= 0)
		r = sd_bus_attach_event(w->bus, event, SD_EVENT_PRIORITY_NORMAL);
	if (r >= 0)
		r = ask(w);
	return r < 0 ? err_origin(r) : 0;
}

int meterwatch_new(sd_event *event, meterwatch_fn fn, void *userdata, struct meterwatch **ret)
{
	_cleanup_(meterwatch_freep) struct meterwatch *w = xnew(struct meterwatch);
	int r;

	w->fn = fn;
	w->userdata = userdata;
	r = watch(w, event);
	if (r < 0)
		return err_trace(r);
	*ret = TAKE_PTR(w);
	return 0;
}

struct meterwatch *meterwatch_free(struct meterwatch *w)
{
	if (!w)
		return NULL;
	if (w->bus) {
		sd_bus_detach_event(w->bus);
		sd_bus_close_unref(w->bus);
	}
	free(w);
	return NULL;
}

bool meterwatch_is_metered(const struct meterwatch *w)
{
	return w->metered;
}
