#include "base/err.h"

#include <string.h>

#include "base/log.h"

void err_log(int r, const char *file, int line, const char *what)
{
	log_debug("error %d (%s) %s %s:%d", r, strerror(-r), what, file, line);
}
