/*
 * The trailing a{sv} of methods: known keys with known types; everything else is an error that says so, unless the
 * key begins with "x-".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-bus.h>

enum option_type {
	OPTION_TEXT,  /* s: const char *, into the message; lives as long as it */
	OPTION_BOOL,  /* b: bool */
	OPTION_TIME,  /* x: int64_t */
	OPTION_ID,    /* t: int64_t, the id of a message; NotFound when none can have it */
	OPTION_TEXTS, /* as: char **, NULL-terminated; the caller frees with options_free_texts() */
};

struct option {
	const char *key;
	enum option_type type;
	void *ret; /* left alone when the key is absent */
	bool *ret_given; /* may be NULL */
};

/* Read the dictionary at the current position of ${m}. 0, or negative with ${error} set. ${n} may be 0. */
int options_read(sd_bus_message *m, const struct option *known, size_t n, sd_bus_error *error);
/* The same, for methods that have no options yet. */
int options_read_none(sd_bus_message *m, sd_bus_error *error);
void options_free_texts(char **texts);

static inline void options_free_textsp(char ***texts)
{
	options_free_texts(*texts);
}
