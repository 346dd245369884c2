/*
 * What is wrong with an archive that is open and serves: nothing that a call would fail with yet, and all of it lost at
 * the next stop unless somebody is told.
 */
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "sync/hub-priv.h"

#define SAVE_HINT "now, while varved runs: \"varvectl backup FILE\" saves all of it; do not stop or lock varved before"

static int check_files(const struct hub *h, hub_problem_fn fn, void *userdata)
{
	_cleanup_(freep) char *text = NULL;

	switch (store_files(h->store)) {
	case STORE_FILES_NO_DATABASE:
		text = xasprintf("the file of the archive, %s, was removed or replaced while varved has it open: what "
				 "varved receives is gone when it stops", vault_path(h->vault));
		return fn(userdata, "archive-file", text, SAVE_HINT);
	case STORE_FILES_NO_LOG:
		text = xasprintf("the log of the archive, %s-wal, was removed or replaced while varved has it open",
				 vault_path(h->vault));
		return fn(userdata, "archive-file", text,
			  "\"varvectl backup FILE\" saves all of it; then start varved again, which writes the log anew");
	case STORE_FILES_THERE:
		break;
	}
	return 0;
}

static int check_sidecar(const struct hub *h, hub_problem_fn fn, void *userdata)
{
	_cleanup_(freep) char *text = NULL;
	int r;

	r = vault_sidecar_check(h->vault);
	/* Too many open files, say: nothing is known. */
	if (r <= 0)
		return 0;
	if (r != VAULT_E_NONE) {
		text = xasprintf("%s/" VAULT_SIDECAR " is not the one that belongs to the archive that is open, or cannot be "
				 "read", h->data_dir);
		return fn(userdata, "key-store", text, SAVE_HINT);
	}
	text = xasprintf("%s/" VAULT_SIDECAR " was removed while varved has the archive open: without it nobody can read "
			 "the archive", h->data_dir);
	return fn(userdata, "key-store", text, "now, while varved runs: \"varvectl keys add recovery\" writes it anew");
}

char *hub_no_way_in(const struct hub *h)
{
	_cleanup_(buf_deinit) struct buf list = { 0 };

	for (size_t i = 0; i < vault_slot_count(h->vault); i++) {
		_cleanup_(freep) char *why = NULL;

		if (vault_slot_opens(h->vault, i, &why))
			return NULL;
		buf_addf(&list, "%s%s", list.len ? ", " : "", why);
	}
	return xasprintf("no key opens the archive any more: %s", buf_str(&list));
}

static int check_ways(const struct hub *h, hub_problem_fn fn, void *userdata)
{
	_cleanup_(freep) char *why = hub_no_way_in(h), *text = NULL;

	if (!why)
		return 0;
	text = xasprintf("%s; at the next start nobody can open it", why);
	return fn(userdata, "keys", text,
		  "now, while varved runs: \"varvectl keys add recovery\" prints a code that opens it; or bring that back");
}

static int check_pages(const struct hub *h, hub_problem_fn fn, void *userdata)
{
	_cleanup_(freep) char *text = NULL;
	uint32_t page = store_damaged_page(h->store);

	if (page == 0)
		return 0;
	text = xasprintf("page %u of %s is damaged: what is on it cannot be read", page, vault_path(h->vault));
	return fn(userdata, "archive-pages", text,
		  "\"varvectl doctor\" names every damaged page; restore a backup, or let varve-salvage copy out the rest");
}

int hub_problems(const struct hub *h, hub_problem_fn fn, void *userdata)
{
	int (*const checks[])(const struct hub *h, hub_problem_fn fn, void *userdata) = {
		check_files, check_sidecar, check_ways, check_pages,
	};
	int r = 0;

	for (size_t i = 0; h->state == HUB_READY && r >= 0 && i < ARRAY_SIZE(checks); i++)
		r = checks[i](h, fn, userdata);
	return r < 0 ? err_trace(r) : 0;
}

static int add_text(void *userdata, _unused_ const char *name, const char *text, const char *hint)
{
	buf_addf(userdata, "%s: %s\n", text, hint);
	return 0;
}

void hub_problems_log(struct hub *h)
{
	_cleanup_(buf_deinit) struct buf all = { 0 };
	char *line, *rest = NULL;

	if (hub_problems(h, add_text, &all) < 0 || strcmp(buf_str(&all), str_or_empty(h->problems)) == 0)
		return;
	str_set(&h->problems, buf_str(&all));
	for (line = strtok_r(all.data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		log_error("%s", line);
}
