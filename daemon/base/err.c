#include "base/err.h"

#include <string.h>

#include "base/log.h"

int err_note(int r, const char *file, int line, const char *what)
{
	if (r < 0)
		log_debug("error %d (%s) %s %s:%d", r, strerror(-r), what, file, line);
	return r;
}
