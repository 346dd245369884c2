#include "vault/secret.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

/* Bytes: more than BLAKE2b, ChaCha20 and Poly1305 use together. */
enum { SECRET_STACK = 8192 };

void *secret_alloc(size_t size)
{
	static bool warned;
	void *p;

	if (sodium_init() < 0)
		abort();
	p = sodium_malloc(size);
	if (!p) {
		log_error("no memory for a key");
		abort();
	}
	/* sodium_malloc() ignores a failed mlock(2): ask again, the answer is the same (facts/db.md section 6). */
	if (sodium_mlock(p, size) < 0 && !warned) {
		warned = true;
		log_warning("keys are in memory that may be swapped out (%s): raise RLIMIT_MEMLOCK (LimitMEMLOCK=1M)",
			    strerror(errno));
	}
	memset(p, 0, size);
	return p;
}

void *secret_free(void *p)
{
	sodium_free(p);
	return NULL;
}

void secret_wipe(void *p, size_t size)
{
	sodium_memzero(p, size);
}

void secret_wipe_stack(void)
{
	sodium_stackzero(SECRET_STACK);
}
