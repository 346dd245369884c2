#define _GNU_SOURCE
#include "bus/errors.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/err.h"
#include "core/text.h"
#include "sync/hub-send.h"

#define ERROR_TEXT_MAX 1000 /* bytes of one sentence; a quoted JID is at most 3 kB and is cut */

static int set_clean(sd_bus_error *error, const char *name, const char *text)
{
	_cleanup_(freep) char *cut = xstrndup(text, text_prefix(text, ERROR_TEXT_MAX));
	_cleanup_(freep) char *clean = text_clean(cut);

	return sd_bus_error_set(error, name, clean);
}

int error_set(sd_bus_error *error, enum varve_error e, const char *fmt, ...)
{
	_cleanup_(freep) char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	return set_clean(error, varve_error_name(e), text);
}

int error_invalid(sd_bus_error *error, const char *fmt, ...)
{
	_cleanup_(freep) char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	return set_clean(error, SD_BUS_ERROR_INVALID_ARGS, text);
}

int error_from_read(sd_bus_error *error, int r)
{
	/* sd-bus looks at a text when it is read; its own words for this are "Bad message". */
	if (r == -EBADMSG && !sd_bus_error_is_set(error))
		return error_invalid(error, "a text in this call is not UTF-8, or has a noncharacter of Unicode in it (U+FFFE, "
				     "U+FDD0 and the like), which D-Bus does not carry: remove it");
	return err_trace(r);
}

int error_from_store(sd_bus_error *error, int r)
{
	switch (-r) {
	case ENOSPC:
	case EDQUOT:
		return error_set(error, VARVE_ERROR_STORAGE,
				 "the disk is full: nothing was lost; free some space and try again");
	case EROFS:
	case EACCES:
	case EPERM:
		return error_set(error, VARVE_ERROR_STORAGE,
				 "the archive cannot be written: check the owner and mode of its directory");
	case EIO:
		return error_set(error, VARVE_ERROR_STORAGE,
				 "the disk reports an error: save the archive to another disk");
	case EBADMSG:
		return error_set(error, VARVE_ERROR_STORAGE,
				 "a page of the archive is damaged: \"varvectl doctor\" says which and what to do");
	default:
		return sd_bus_error_setf(error, SD_BUS_ERROR_FAILED, "varved failed: %s; its log has more",
					 strerror(-r));
	}
}

int error_from_hub(sd_bus_error *error, int r, const char *why)
{
	static const struct {
		int outcome;
		enum varve_error error;
		const char *text;
	} map[] = {
		{ HUB_E_EXISTS, VARVE_ERROR_CONFLICT, "this account exists already" },
		{ HUB_E_NOT_FOUND, VARVE_ERROR_NOT_FOUND, "there is no such account" },
		{ HUB_E_LIMIT, VARVE_ERROR_LIMIT_EXCEEDED, "there are as many accounts as varved can have" },
		{ HUB_E_OFFLINE, VARVE_ERROR_OFFLINE, "the account is not connected" },
		{ HUB_E_STORAGE, VARVE_ERROR_STORAGE, "the archive refused the change" },
		{ HUB_E_LOCKED, VARVE_ERROR_LOCKED, "the archive is locked: varvectl unlock" },
		{ HUB_E_WRONG, VARVE_ERROR_WRONG_SECRET, "this secret does not open the archive" },
		{ HUB_E_BUSY, VARVE_ERROR_BUSY, "something else has to end first" },
		{ HUB_E_CANCELLED, VARVE_ERROR_CANCELLED, "it was cancelled" },
		{ HUB_E_PAUSED, VARVE_ERROR_CONFLICT, "the sync is paused: varvectl sync resume" },
		{ HUB_E_CONFLICT, VARVE_ERROR_CONFLICT, "this id was used for something else" },
		{ HUB_E_UNSUITABLE, VARVE_ERROR_CONFLICT, "the state of this message does not allow it" },
		{ HUB_E_REMOTE, VARVE_ERROR_REMOTE, "the server refused" },
	};

	if (r == 0)
		return 0;
	if (r < 0)
		return error_from_store(error, r);
	if (r == HUB_E_INVALID)
		return error_invalid(error, "%s", why ? why : "an argument is malformed");
	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		if (map[i].outcome == r)
			return error_set(error, map[i].error, "%s", why ? why : map[i].text);
	return set_clean(error, SD_BUS_ERROR_FAILED, why ? why : "varved failed; its log has more");
}

int error_from_state(sd_bus_error *error, const struct hub *hub)
{
	struct hub_archive a;

	hub_archive(hub, &a);
	if (a.state == HUB_LOCKED)
		return error_set(error, VARVE_ERROR_LOCKED, "the archive is locked: varvectl unlock");
	return error_set(error, VARVE_ERROR_STORAGE, "the archive is not open: %s", a.why);
}

char *error_full_name(const char *name)
{
	name = str_or_empty(name);
	return *name && !strchr(name, '.') ? xasprintf(VARVE_ERROR_PREFIX "%s", name) : xstrdup(name);
}
