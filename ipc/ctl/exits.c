#include "ipc/ctl/exits.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* The one place where error names become exit codes. What is not here is EXIT_FAIL. */
static const struct {
	const char *name;
	enum exit_code code;
} exits[] = {
	{ "org.freedesktop.DBus.Error.InvalidArgs", EXIT_USAGE },
	{ "org.freedesktop.DBus.Error.NoServer", EXIT_UNREACHABLE },
	{ "org.freedesktop.DBus.Error.Disconnected", EXIT_UNREACHABLE },
	{ "org.varve.Varve1.Error.NotFound", EXIT_NOT_FOUND },
	{ "org.varve.Varve1.Error.NoSuchConversation", EXIT_NOT_FOUND },
	{ "org.freedesktop.DBus.Error.UnknownObject", EXIT_NOT_FOUND },
	{ "org.varve.Varve1.Error.AuthFailed", EXIT_SECRET },
	{ "org.varve.Varve1.Error.Locked", EXIT_SECRET },
	{ "org.varve.Varve1.Error.WrongSecret", EXIT_SECRET },
	{ "org.varve.Varve1.Error.Offline", EXIT_OFFLINE },
	{ "org.freedesktop.DBus.Error.Timeout", EXIT_TIMEOUT },
	{ "org.freedesktop.DBus.Error.TimedOut", EXIT_TIMEOUT },
	{ "org.freedesktop.DBus.Error.NoReply", EXIT_TIMEOUT },
	{ "org.varve.Varve1.Error.Remote", EXIT_REMOTE },
	{ "org.freedesktop.DBus.Error.AccessDenied", EXIT_DENIED },
	{ "org.varve.Varve1.Error.Denied", EXIT_DENIED },
	{ "org.varve.Varve1.Error.Problems", EXIT_PROBLEMS },
	{ "org.freedesktop.DBus.Error.NotSupported", EXIT_VERSION },
	{ "org.freedesktop.DBus.Error.UnknownMethod", EXIT_VERSION },
	{ "org.freedesktop.DBus.Error.UnknownInterface", EXIT_VERSION },
	{ "org.freedesktop.DBus.Error.UnknownProperty", EXIT_VERSION },
	{ "org.freedesktop.DBus.Error.InvalidSignature", EXIT_VERSION },
	{ "org.freedesktop.DBus.Error.Failed", EXIT_FAIL },
};

enum exit_code exit_code_of(const char *name, int r)
{
	for (size_t i = 0; i < sizeof(exits) / sizeof(exits[0]); i++)
		if (strcmp(exits[i].name, name) == 0)
			return exits[i].code;
	switch (-r) {
	case ECONNRESET:
	case ENOTCONN:
	case EPIPE:
	case ECONNREFUSED:
	case ENOENT:
		return *name ? EXIT_FAIL : EXIT_UNREACHABLE;
	case ETIMEDOUT:
		return EXIT_TIMEOUT;
	case EACCES:
	case EPERM:
		return EXIT_DENIED;
	}
	return EXIT_FAIL;
}

const char *exit_error_name(enum exit_code code)
{
	for (size_t i = 0; i < sizeof(exits) / sizeof(exits[0]); i++)
		if (exits[i].code == code)
			return exits[i].name;
	return "org.freedesktop.DBus.Error.Failed";
}
