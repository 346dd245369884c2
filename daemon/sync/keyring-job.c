/*
 * A job of the keyring: its steps, its child, its end.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/err.h"
#include "base/log.h"
#include "sync/keyring-priv.h"

static void forget_child(struct job *j)
{
	j->child_source = sd_event_source_disable_unref(j->child_source);
	j->child = child_free(j->child);
}

static struct job *job_free(struct job *j)
{
	if (!j)
		return NULL;
	forget_child(j);
	sd_event_source_disable_unref(j->turn);
	secret_free(j->old);
	secret_free(j->secret);
	secret_free(j->code);
	free(j->label);
	free(j->path);
	free(j);
	return NULL;
}

static int on_turn(_unused_ sd_event_source *s, void *userdata)
{
	struct job *j = userdata;

	j->step(j);
	return 0;
}

void job_idle(struct job *j, job_step_fn step)
{
	j->step = step;
	sd_event_source_set_priority(j->turn, SD_EVENT_PRIORITY_IDLE);
	/* One shot, armed anew: an idle source that stays pending would starve the other idle ones. */
	sd_event_source_set_enabled(j->turn, SD_EVENT_ONESHOT);
}

static int on_child(_unused_ sd_event_source *s, _unused_ int fd, _unused_ uint32_t revents, void *userdata)
{
	struct job *j = userdata;

	sd_event_source_set_enabled(j->child_source, SD_EVENT_OFF);
	j->step(j);
	return 0;
}

void job_child(struct job *j, struct child *child, job_step_fn step)
{
	int r;

	forget_child(j);
	j->child = child;
	j->step = step;
	r = sd_event_add_io(j->hub->event, &j->child_source, child_fd(child), EPOLLIN, on_child, j);
	if (r < 0)
		job_end(j, err_origin(r), NULL);
}

int job_make(struct hub *h, const char *name, keyring_done_fn fn, void *userdata, job_step_fn first,
		    struct job **ret)
{
	struct job *j = xnew(struct job);
	int r;

	*j = (struct job){ .hub = h, .name = name, .fn = fn, .userdata = userdata, .step = first };
	r = sd_event_add_defer(h->event, &j->turn, on_turn, j);
	if (r < 0) {
		job_free(j);
		return err_origin(r);
	}
	*ret = j;
	return 0;
}

int job_new(struct hub *h, const char *name, keyring_done_fn fn, void *userdata, job_step_fn first, struct job **ret,
	    char **ret_why)
{
	int r;

	if (h->job || h->locking) {
		*ret_why = xasprintf("%s is at work: wait until it has ended", h->job ? h->job->name : "locking");
		return HUB_E_BUSY;
	}
	r = job_make(h, name, fn, userdata, first, ret);
	if (r < 0)
		return err_trace(r);
	h->job = *ret;
	return 0;
}

void job_end(struct job *j, int r, const char *why)
{
	struct hub *h = j->hub;

	/* Goodbye first: whoever is told may ask for the next. */
	if (h->job == j)
		h->job = NULL;
	if (h->locking == j)
		h->locking = NULL;
	keyring_copy_undo(j);
	if (r < 0)
		log_debug("%s failed: %s", j->name, strerror(-r));
	if (j->fn)
		j->fn(j->userdata, r, why, &j->answer);
	job_free(j);
}

static int vault_outcome(int r)
{
	switch (r) {
	case VAULT_E_WRONG:
		return HUB_E_WRONG;
	case VAULT_E_LOCKED:
		return HUB_E_LOCKED;
	case VAULT_E_LIMIT:
		return HUB_E_LIMIT;
	case VAULT_E_LAST_SLOT:
	case VAULT_E_SAME_SLOT:
		return HUB_E_EXISTS;
	case VAULT_E_UNREADABLE:
		return HUB_E_INVALID;
	case VAULT_E_NO_SLOT:
	case -ENOENT:
		return HUB_E_NOT_FOUND;
	case -EEXIST:
		return HUB_E_EXISTS;
	default:
		return HUB_E_STORAGE;
	}
}

void job_end_vault(struct job *j, int r, const char *why)
{
	_cleanup_(freep) char *text = NULL;

	if (r != 0 && !why)
		why = text = xasprintf("the keys could not be changed: %s", r < 0 ? strerror(-r) : "refused");
	job_end(j, r == 0 ? 0 : vault_outcome(r), why);
}

void keyring_abandon(struct hub *h, const void *userdata)
{
	struct job *both[] = { h->job, h->locking };

	for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
		struct job *j = both[i];

		if (!j || !j->fn || j->userdata != userdata)
			continue;
		j->fn = NULL;
		if (j->ends_with_caller)
			job_end(j, HUB_E_CANCELLED, NULL);
	}
}

void keyring_free(struct hub *h)
{
	struct job *both[] = { h->locking, h->job };

	for (size_t i = 0; i < ARRAY_SIZE(both); i++)
		if (both[i]) {
			both[i]->fn = NULL;
			job_end(both[i], HUB_E_CANCELLED, NULL);
		}
}
