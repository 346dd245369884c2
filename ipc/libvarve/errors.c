/*
 * Failures: what a caller gets as a number, and as a name with a sentence.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/libvarve/client.h"

#define STANDARD "org.freedesktop.DBus.Error."
#define OURS VARVE_ERROR_PREFIX

/* The table of varve.h. */
static const struct {
	const char *name;
	int err;
} errors[] = {
	{ OURS "Locked", ENOKEY },
	{ OURS "WrongSecret", EKEYREJECTED },
	{ OURS "NotFound", ENOENT },
	{ OURS "NoSuchConversation", ENOENT },
	{ OURS "Offline", ENETUNREACH },
	{ OURS "AuthFailed", EKEYREJECTED },
	{ OURS "Conflict", EEXIST },
	{ OURS "ChangesTooOld", ESTALE },
	{ OURS "EpochChanged", ESTALE },
	{ OURS "LimitExceeded", EDQUOT },
	{ OURS "Busy", EBUSY },
	{ OURS "Remote", EREMOTEIO },
	{ OURS "Unsupported", EOPNOTSUPP },
	{ OURS "Storage", EIO },
	{ OURS "Cancelled", ECANCELED },
	{ OURS "Denied", EACCES },
	{ STANDARD "InvalidArgs", EINVAL },
	{ STANDARD "AccessDenied", EACCES },
	{ STANDARD "UnknownObject", ENOENT },
	{ STANDARD "UnknownMethod", EOPNOTSUPP },
	{ STANDARD "UnknownInterface", EOPNOTSUPP },
	{ STANDARD "UnknownProperty", EOPNOTSUPP },
	{ STANDARD "NotSupported", EOPNOTSUPP },
	{ STANDARD "NoReply", ETIMEDOUT },
	{ STANDARD "Timeout", ETIMEDOUT },
	{ STANDARD "TimedOut", ETIMEDOUT },
	{ STANDARD "Disconnected", ENOTCONN },
	{ STANDARD "NoServer", ENOTCONN },
	{ STANDARD "NoMemory", ENOMEM },
};

int varve_errno_of(const char *errname)
{
	for (size_t i = 0; errname && i < sizeof(errors) / sizeof(errors[0]); i++)
		if (strcmp(errors[i].name, errname) == 0)
			return -errors[i].err;
	return -EIO;
}

const char *varve_errname(const struct varve *v)
{
	return v->errname ? v->errname : "";
}

const char *varve_errmsg(const struct varve *v)
{
	return v->errmsg ? v->errmsg : "";
}

static void remember(struct varve *v, char *name, char *text)
{
	free(v->errname);
	free(v->errmsg);
	v->errname = name;
	v->errmsg = text;
}

int varve__fail(struct varve *v, int r, const char *name, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	remember(v, strdup(name), text);
	return r;
}

int varve__fail_bus(struct varve *v, const sd_bus_error *error, int r)
{
	/* sd-bus makes up names for what happened on this side ("System.Error.ECONNRESET"); they are not varved's. */
	if (error && error->name && strncmp(error->name, "System.", 7) != 0) {
		remember(v, strdup(error->name), strdup(error->message ? error->message : ""));
		return varve_errno_of(error->name);
	}
	switch (-r) {
	case ECONNRESET:
	case ENOTCONN:
	case EPIPE:
		return varve__fail(v, -ENOTCONN, STANDARD "Disconnected", "varved closed the connection");
	case ETIMEDOUT:
		return varve__fail(v, r, STANDARD "NoReply", "varved did not answer in time");
	case ENOMEM:
		return varve__fail(v, r, STANDARD "NoMemory", "out of memory");
	}
	return varve__fail(v, r, STANDARD "Failed", "%s", strerror(-r));
}

int varve__fail_reply(struct varve *v, const char *member)
{
	return varve__fail(v, -EBADMSG, STANDARD "InvalidSignature",
			   "cannot read the answer to %s: varved is of another version", member);
}

int varve__fail_args(struct varve *v, int r)
{
	if (r == -ENOMEM)
		return varve__fail_bus(v, NULL, r);
	if (r == -EBADF)
		return varve__fail(v, -EINVAL, STANDARD "InvalidArgs", "the file descriptor is not open");
	return varve__fail(v, -EINVAL, STANDARD "InvalidArgs",
			   "an argument is not UTF-8, or has a noncharacter of Unicode in it (U+FFFE, say), which D-Bus does not carry");
}
