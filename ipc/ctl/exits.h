/*
 * Exit codes of varvectl; scripts rely on them (varvectl(1)).
 */
#pragma once

enum exit_code {
	EXIT_OK = 0,
	EXIT_FAIL = 1,
	EXIT_USAGE = 2,
	EXIT_UNREACHABLE = 3, /* the daemon is not running, or went away */
	EXIT_NOT_FOUND = 4,
	EXIT_SECRET = 5, /* locked, or a wrong secret */
	EXIT_OFFLINE = 6,
	EXIT_TIMEOUT = 7,
	EXIT_REMOTE = 8, /* refused by the server or the other party */
	EXIT_DENIED = 9,
	EXIT_PROBLEMS = 10, /* a check found some */
	EXIT_VERSION = 11, /* the two sides do not speak the same version */
};

/* What a script should see for the error ${name} ("": none); else by ${r}, a negative errno. */
enum exit_code exit_code_of(const char *name, int r);

/* The error name that stands for ${code} when varvectl itself finds the fault. */
const char *exit_error_name(enum exit_code code);
