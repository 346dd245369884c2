/*
 * Archive ids: the identity of what is archived and its place in the order (schema.c, table aid). An id belongs to one
 * archive; each call means that of the put.
 */
#pragma once

#include "store/put.h"

struct aid {
	bool known;
	bool placed; /* the key is final */
	int64_t key;
	int64_t msg; /* row, 0 = it is a place without one */
};

/* "" is never known. */
int aid_get(struct put *p, const char *id, struct aid *ret);
/* Remember a new id; ${msg} 0: a place without a row. */
int aid_add(struct put *p, const char *id, int64_t key, bool placed, int64_t msg);
/* Its final key. */
int aid_place(struct put *p, const char *id, int64_t key);
