/*
 * Names of the bus contract (org.varve.Varve1.xml) that both ends spell: socket, paths, interfaces, errors, roles.
 * Belongs to neither side: includes nothing of daemon/.
 */
#pragma once

#include <stddef.h>
#include <string.h>

/* Below $XDG_RUNTIME_DIR. "bus" serves everything, "bus-ro" everything that changes nothing. */
#define VARVE_SOCKET_DIR "varve"
#define VARVE_SOCKET_NAME "bus"
#define VARVE_SOCKET_RO_NAME "bus-ro"
/* FileDescriptorName= of the sockets when systemd opens them (sd_listen_fds_with_names(3)). "status" says states and
 * counts to whomever the socket's mode lets in; varved makes none by itself. */
#define VARVE_FDNAME_FULL "full"
#define VARVE_FDNAME_READONLY "readonly"
#define VARVE_FDNAME_STATUS "status"

/* The name that stock tools must be given as destination; a peer-to-peer client needs none. */
#define VARVE_BUS_NAME "org.varve.Varve1"
/* The daemon's own unique name on every connection. */
#define VARVE_UNIQUE_NAME ":1.0"

/* Object paths: the root, VARVE_PATH_ACCOUNTS "/" Id for each account, VARVE_PATH_JOBS "/" number for each job. */
#define VARVE_PATH "/org/varve/Varve1"
#define VARVE_PATH_ACCOUNTS VARVE_PATH "/account"
#define VARVE_PATH_JOBS VARVE_PATH "/job"

#define VARVE_IFACE_MANAGER "org.varve.Varve1.Manager"
#define VARVE_IFACE_KEYRING "org.varve.Varve1.Keyring"
#define VARVE_IFACE_ACCOUNT "org.varve.Varve1.Account"
#define VARVE_IFACE_SYNC "org.varve.Varve1.Sync"
#define VARVE_IFACE_ARCHIVE "org.varve.Varve1.Archive"
#define VARVE_IFACE_CONVERSATIONS "org.varve.Varve1.Conversations"
#define VARVE_IFACE_ROSTER "org.varve.Varve1.Roster"
#define VARVE_IFACE_JOB "org.varve.Varve1.Job"

/* Raised with every addition to the contract; Manager.ApiRevision. */
#define VARVE_API_REVISION 7

/* Bytes of a body that is sent; a longer one is refused. */
#define VARVE_BODY_MAX 65536

/* Signatures of the row structs, as in the XML. */
#define VARVE_SIG_MESSAGE_FIELDS "ttssxyyssa{sv}"
#define VARVE_SIG_MESSAGE "(" VARVE_SIG_MESSAGE_FIELDS ")"
#define VARVE_SIG_HIT_FIELDS VARVE_SIG_MESSAGE "a(uu)"
#define VARVE_SIG_HIT "(" VARVE_SIG_HIT_FIELDS ")"
#define VARVE_SIG_SLOT_FIELDS "ussxa{sv}"
#define VARVE_SIG_SLOT "(" VARVE_SIG_SLOT_FIELDS ")"
#define VARVE_SIG_CONVERSATION_FIELDS "stssx" VARVE_SIG_MESSAGE "uutua{sv}"
#define VARVE_SIG_CONVERSATION "(" VARVE_SIG_CONVERSATION_FIELDS ")"
#define VARVE_SIG_CONTACT_FIELDS "stssuasa{sv}"
#define VARVE_SIG_CONTACT "(" VARVE_SIG_CONTACT_FIELDS ")"
#define VARVE_SIG_PRESENCE_FIELDS "sssa{sv}"
#define VARVE_SIG_PRESENCE "(" VARVE_SIG_PRESENCE_FIELDS ")"
#define VARVE_SIG_GAP_FIELDS "tsttxxsa{sv}"
#define VARVE_SIG_GAP "(" VARVE_SIG_GAP_FIELDS ")"
#define VARVE_SIG_SPAN_FIELDS "xxssua{sv}"
#define VARVE_SIG_SPAN "(" VARVE_SIG_SPAN_FIELDS ")"
#define VARVE_SIG_COVERAGE_FIELDS "sxxa" VARVE_SIG_SPAN "a{sv}"
#define VARVE_SIG_COVERAGE "(" VARVE_SIG_COVERAGE_FIELDS ")"

/* Bits of edges in GetHistory. */
enum varve_edge {
	VARVE_EDGE_OLDEST = 1,	    /* no older message is stored */
	VARVE_EDGE_NEWEST = 2,	    /* no newer message is stored */
	VARVE_EDGE_GAP_OLDER = 4,   /* a gap adjoins the older end */
	VARVE_EDGE_GAP_NEWER = 8,   /* a gap adjoins the newer end */
	VARVE_EDGE_START = 16,	    /* the server has nothing older either */
	VARVE_EDGE_FETCHING = 32,   /* an adjoining gap is being fetched now */
	VARVE_EDGE_CUT = 64,	    /* cut short by a size limit: ask again from the last row */
};

/* Bits of flags in a span of GetCoverage. */
enum varve_span_flag {
	VARVE_SPAN_START = 1,	    /* the server has nothing older than this span */
	VARVE_SPAN_LIVE = 2,	    /* newest span: complete up to now */
	VARVE_SPAN_LOST = 4,	    /* what lies before this span is gone from the server for good */
	VARVE_SPAN_EMPTY = 8,	    /* the archive holds no message yet */
	VARVE_SPAN_FETCHING = 16,   /* what lies before this span is being fetched now */
};

/* Bits of flags in a conversation row. */
enum varve_conversation_flag {
	VARVE_CONVERSATION_PINNED = 1,
	VARVE_CONVERSATION_MUTED = 2,	/* now: until when is in extra */
	VARVE_CONVERSATION_ARCHIVED = 4,
	VARVE_CONVERSATION_JOINED = 8,
	VARVE_CONVERSATION_ENCRYPTED = 16,
	VARVE_CONVERSATION_BLOCKED = 32,
	VARVE_CONVERSATION_HAS_GAP = 64,
	VARVE_CONVERSATION_TYPING_ALLOWED = 128,
};

/* Bits of flags in a contact row. */
enum varve_contact_flag {
	VARVE_CONTACT_ASKED = 1,    /* we have asked to see their presence, and they have not answered */
	VARVE_CONTACT_BLOCKED = 2,
	VARVE_CONTACT_UNLISTED = 4, /* not in the roster, here only because it is blocked or asking */
	VARVE_CONTACT_ASKING = 8,   /* they ask to see our presence, and we have not answered: Authorize */
};

/*
 * Errors of our own: X(SYMBOL, "Name", "when"). On the bus each is "org.varve.Varve1.Error." Name. Everything else is
 * a standard one: org.freedesktop.DBus.Error.InvalidArgs, UnknownMethod, UnknownObject, AccessDenied, Failed.
 */
#define VARVE_ERRORS(X)                                                                                       \
	X(LOCKED, "Locked", "the archive is locked")                                                          \
	X(WRONG_SECRET, "WrongSecret", "the passphrase, code or key file is not the right one")               \
	X(NOT_FOUND, "NotFound", "there is no such account or message")                                       \
	X(NO_SUCH_CONVERSATION, "NoSuchConversation", "no message of this conversation is stored")            \
	X(OFFLINE, "Offline", "it needs a connection to the server")                                          \
	X(AUTH_FAILED, "AuthFailed", "the server refused the password")                                       \
	X(CONFLICT, "Conflict", "it exists already, with other content, or its state does not allow it")      \
	X(CHANGES_TOO_OLD, "ChangesTooOld", "the feed does not reach back so far: read everything again")     \
	X(EPOCH_CHANGED, "EpochChanged", "the archive is another one: drop what you hold, read again")        \
	X(LIMIT_EXCEEDED, "LimitExceeded", "more than one call or connection may have")                       \
	X(BUSY, "Busy", "something else has to end first")                                                    \
	X(REMOTE, "Remote", "the server answered with an error")                                              \
	X(UNSUPPORTED, "Unsupported", "the server or this version cannot do it")                              \
	X(STORAGE, "Storage", "the archive refused: disk full, read-only or damaged")                         \
	X(CANCELLED, "Cancelled", "it was cancelled")                                                         \
	X(DENIED, "Denied", "the role of this connection does not allow it")

#define VARVE_ERROR_PREFIX "org.varve.Varve1.Error."

enum varve_error {
#define VARVE_ERROR_ENUM(SYMBOL, name, when) VARVE_ERROR_##SYMBOL,
	VARVE_ERRORS(VARVE_ERROR_ENUM)
#undef VARVE_ERROR_ENUM
		VARVE_ERROR_COUNT
};

#ifndef __cplusplus /* array designators are C; C++ has the names above */

/* "org.varve.Varve1.Error.NotFound" ...; static. */
static inline const char *varve_error_name(enum varve_error e)
{
	static const char *const names[] = {
#define VARVE_ERROR_NAME(SYMBOL, name, when) [VARVE_ERROR_##SYMBOL] = VARVE_ERROR_PREFIX name,
		VARVE_ERRORS(VARVE_ERROR_NAME)
#undef VARVE_ERROR_NAME
	};

	return names[e];
}

/* The error that ${name} spells, or VARVE_ERROR_COUNT for one that is not ours. */
static inline enum varve_error varve_error_from_name(const char *name)
{
	for (enum varve_error e = 0; name && e < VARVE_ERROR_COUNT; e++)
		if (strcmp(name, varve_error_name(e)) == 0)
			return e;
	return VARVE_ERROR_COUNT;
}

#endif
