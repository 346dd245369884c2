/*
 * Two kinds of failure, as everywhere in varve (docs/STYLE.md, rule 3):
 *
 *   r < 0   cannot go on: a negative errno. Pass it up unchanged with err_trace(). Never matched against.
 *   r > 0   a documented outcome of the function that returned it (SOMETHING_E_x). Handled by the caller, on the
 *           spot, and never forwarded.
 *
 * A negative value is born in exactly one place, err_origin(), which logs where. So a failure leaves a trail of
 * file:line at debug level without any function having to word it.
 */
#pragma once

#define err_origin(r) err_note((r), __FILE__, __LINE__, "origin")
#define err_trace(r) err_note((r), __FILE__, __LINE__, "via")

/* Log where a negative errno was born or passed. Use the macros. */
void err_log(int r, const char *file, int line, const char *what);

/* Returns ${r} unchanged, in sight of the compiler: it then knows that what is set on success is set. */
static inline int err_note(int r, const char *file, int line, const char *what)
{
	if (r < 0)
		err_log(r, file, line, what);
	return r;
}
