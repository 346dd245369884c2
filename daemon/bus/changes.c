#include "bus/changes.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "bus/batch.h"
#include "bus/conn.h"
#include "bus/errors.h"
#include "bus/options.h"
#include "bus/rows.h"
#include "bus/tree.h"
#include "ipc/names.h"
#include "store/read.h"

enum part { PART_MESSAGES, PART_CONVERSATIONS, PART_CONTACTS, PART_REMOVED, PARTS };

static const struct {
	const char *kind; /* in option kinds */
	const char *contents;
} parts[] = {
	[PART_MESSAGES] = { "message", VARVE_SIG_MESSAGE },
	[PART_CONVERSATIONS] = { "conversation", VARVE_SIG_CONVERSATION },
	[PART_CONTACTS] = { "contact", VARVE_SIG_CONTACT },
	[PART_REMOVED] = { "removed", "(ss)" },
};

/* One answer: its four arrays are written one after the other, straight into the reply. */
struct changes {
	sd_bus_message *reply;
	char **conversations, **kinds; /* NULL = all */
	bool skip_bodies;
	size_t bytes;
};

static void changes_deinit(struct changes *c)
{
	sd_bus_message_unref(c->reply);
	options_free_texts(c->conversations);
	options_free_texts(c->kinds);
}

static bool among(char *const *list, const char *s)
{
	for (char *const *p = list; p && *p; p++)
		if (strcmp(*p, s) == 0)
			return true;
	return !list;
}

static int on_message(void *userdata, const struct message_row *row)
{
	struct changes *c = userdata;

	if (!among(c->conversations, row->conversation))
		return 0;
	c->bytes += rows_message_size(row);
	return rows_message(c->reply, row, c->skip_bodies);
}

static int on_conversation(void *userdata, const struct conversation_row *row)
{
	struct changes *c = userdata;

	if (!among(c->conversations, row->id))
		return 0;
	c->bytes += rows_conversation_size(row);
	return rows_conversation(c->reply, row);
}

static int on_contact(void *userdata, const struct contact_row *row)
{
	struct changes *c = userdata;

	if (!among(c->conversations, row->jid))
		return 0;
	c->bytes += 128 + strlen(str_or_empty(row->jid)) + strlen(str_or_empty(row->name));
	return rows_contact(c->reply, row);
}

static int on_removed(void *userdata, const char *kind, const char *key)
{
	struct changes *c = userdata;
	sd_bus_message *m = c->reply;
	int r;

	/* Whose conversation a removed row was in is not known any more: always told. */
	c->bytes += 32 + strlen(key);
	if ((r = sd_bus_message_open_container(m, 'r', "ss")) < 0 ||
	    (r = rows_text(m, kind)) < 0 ||
	    (r = rows_text(m, key)) < 0 ||
	    (r = sd_bus_message_close_container(m)) < 0)
		return err_trace(r);
	return 0;
}

static int append_parts(struct changes *c, const struct batch *x)
{
	static const struct changes_fns only[PARTS] = {
		[PART_MESSAGES] = { .message = on_message },
		[PART_CONVERSATIONS] = { .conversation = on_conversation },
		[PART_CONTACTS] = { .contact = on_contact },
		[PART_REMOVED] = { .removed = on_removed },
	};
	int r;

	for (size_t i = 0; i < PARTS; i++)
		if ((r = sd_bus_message_open_container(c->reply, 'a', parts[i].contents)) < 0 ||
		    (r = among(c->kinds, parts[i].kind) ? batch_each(x, &only[i], c) : 0) < 0 ||
		    (r = sd_bus_message_close_container(c->reply)) < 0)
			return err_trace(r);
	return 0;
}

static int read_arguments(sd_bus_message *m, struct changes *c, const char **ret_epoch, uint64_t *ret_since,
			  uint32_t *ret_limit, sd_bus_error *error)
{
	const struct option known[] = {
		{ "conversations", OPTION_TEXTS, &c->conversations },
		{ "kinds", OPTION_TEXTS, &c->kinds },
		{ "skip-bodies", OPTION_BOOL, &c->skip_bodies },
	};
	int r;

	r = sd_bus_message_read(m, "stu", ret_epoch, ret_since, ret_limit);
	if (r < 0)
		return error_from_read(error, r);
	r = options_read(m, known, ARRAY_SIZE(known), error);
	if (r < 0)
		return r;
	for (char **p = c->kinds; p && *p; p++) {
		size_t i = 0;

		while (i < PARTS && strcmp(parts[i].kind, *p) != 0)
			i++;
		if (i == PARTS)
			return error_invalid(error, "there is no kind '%s': it is one of message, conversation, contact, "
					     "removed", *p);
	}
	if (*ret_limit == 0 || *ret_limit > READ_ROWS_MAX)
		*ret_limit = READ_ROWS_MAX;
	return 0;
}

/* The caller's position belongs to this archive. */
static int check_position(struct store *s, int64_t account, const char *epoch, uint64_t since, sd_bus_error *error)
{
	uint64_t seq, oldest;
	int r;

	r = read_seq(s, account, &seq, &oldest);
	if (r != 0)
		return error_from_store(error, r < 0 ? r : -EIO);
	if (*epoch && strcmp(epoch, store_epoch(s)) != 0)
		return error_set(error, VARVE_ERROR_EPOCH_CHANGED,
				 "this archive is another one than that of epoch '%s': drop what you hold and read again", epoch);
	/* A position never goes back within an epoch: so this is an older copy of the archive. */
	if (since > seq)
		return error_set(error, VARVE_ERROR_EPOCH_CHANGED,
				 "the feed has not reached %llu, it ends at %llu: the archive is an older copy; drop what you "
				 "hold and read again", (unsigned long long)since, (unsigned long long)seq);
	return 0;
}

/* The reading of ${account} from 0 that stands at ${since}; NULL if there is none. A new one for ${since} 0. */
static struct changes_run *find_run(struct changes_runs *all, int64_t account, uint64_t since)
{
	struct changes_run *oldest = &all->runs[0];

	for (size_t i = 0; i < CHANGES_RUNS_MAX; i++) {
		struct changes_run *run = &all->runs[i];

		if (since && run->account == account && run->next == since)
			return run;
		if (run->used < oldest->used)
			oldest = run;
	}
	if (since)
		return NULL;
	*oldest = (struct changes_run){ .account = account };
	return oldest;
}

int changes_handle(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(changes_deinit) struct changes ch = { 0 };
	struct conn *c = userdata;
	struct store *s = hub_store(conn_hub(c));
	struct batch_key key = { .account = tree_call_account(m) };
	const struct batch *x = NULL;
	struct changes_run *run;
	const char *epoch;
	uint64_t oldest;
	int r;

	if (conn_defer(c, m, changes_handle))
		return 1;
	if ((r = read_arguments(m, &ch, &epoch, &key.since, &key.limit, error)) < 0 ||
	    (r = check_position(s, key.account, epoch, key.since, error)) < 0)
		return r;
	r = read_seq(s, key.account, &key.seq, &oldest);
	if (r < 0)
		return error_from_store(error, r);
	run = find_run(conn_runs(c), key.account, key.since);
	if (run && !key.since)
		run->begun = key.seq;
	/* A kept batch knows nothing of who asks: that one may be too old for it is seen here. */
	r = key.since && (run && run->begun > key.since ? run->begun : key.since) < oldest ? READ_E_TOO_OLD : 0;
	if (r == 0)
		r = batches_get(conn_config(c)->batches, s, &key, run ? run->begun : 0, &x);
	if (r == READ_E_TOO_OLD)
		return error_set(error, VARVE_ERROR_CHANGES_TOO_OLD,
				 "the feed does not reach back to %llu: drop what you hold and read again",
				 (unsigned long long)key.since);
	if (r != 0)
		return error_from_store(error, r < 0 ? r : -EIO);
	if (run) {
		run->next = batch_next(x);
		run->used = ++conn_runs(c)->clock;
	}
	if ((r = sd_bus_message_new_method_return(m, &ch.reply)) < 0 ||
	    (r = sd_bus_message_append(ch.reply, "tb", batch_next(x), batch_more(x))) < 0 ||
	    (r = append_parts(&ch, x)) < 0)
		return err_trace(r);
	return conn_reply(c, ch.reply, ch.bytes);
}
