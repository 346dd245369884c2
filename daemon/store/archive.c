#include "store/archive.h"

#include "base/err.h"
#include "core/jid.h"
#include "store/aid.h"
#include "store/conv.h"
#include "store/pending.h"
#include "store/put.h"
#include "store/renew.h"

static int find_archive(struct store *s, int64_t account, const char *jid, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_ARCHIVE_GET);

	put_i(&q, account);
	put_t(&q, jid);
	return db_int(&q, 0, ret);
}

static int add_archive(struct store *s, int64_t account, const char *jid, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_ARCHIVE_ADD);

	put_i(&q, account);
	put_t(&q, jid);
	return db_insert(&q, ret);
}

int archive_id(struct store *s, int64_t account, const char *jid, int64_t *ret)
{
	int r;

	if (!*jid && s->own_account == account) {
		*ret = s->own_archive;
		return 0;
	}
	r = find_archive(s, account, jid, ret);
	if (r == 0 && !*ret)
		r = add_archive(s, account, jid, ret);
	if (r < 0)
		return err_trace(r);
	if (!*jid) {
		s->own_account = account;
		s->own_archive = *ret;
	}
	return 0;
}

static int put_live(struct put *p, struct item *it, bool extends, struct put_outcome *ret)
{
	struct aid aid;
	bool stays;
	int r;

	r = aid_get(p, it->m->archive_id, &aid);
	/* A part of the archive may have brought it before the stream did: its place is where the stream puts it. */
	stays = r == 0 && aid.known && (aid.placed || !extends);
	if (r == 0 && !stays)
		r = put_natural_key(p, &it->key);
	if (r == 0)
		r = put_item(p, it, &aid, extends && !stays, ret);
	return r < 0 ? err_trace(r) : 0;
}

int archive_put_live(struct store *s, int64_t account, int64_t archive, const char *own_bare, const struct message *m,
		     int64_t now_us, bool extends, struct put_outcome *ret)
{
	struct put p = { .s = s, .account = account, .archive = archive, .own_bare = own_bare, .now_us = now_us };
	struct put_outcome out = { 0 };
	struct put_outcome what = { 0 };
	struct message unplaced = *m;
	struct item it;
	struct aid aid;
	int r;

	r = aid_get(&p, m->archive_id, &aid);
	if (r == 0)
		r = renew_judge(&p, m, &aid, &what);
	if (r < 0)
		return err_trace(r);
	if (what.another) {
		unplaced.archive_id = "";
		m = &unplaced;
		extends = false;
	}
	item_init(&it, &p, m);
	r = put_begin(&p);
	if (r == 0)
		r = put_live(&p, &it, extends, &out);
	r = put_end(&p, r);
	item_deinit(&it);
	out.another = what.another;
	if (r < 0)
		return err_trace(r);
	*ret = out;
	return 0;
}

static int put_read(struct put *p, struct item *it, const char *stanza_id)
{
	_cleanup_(freep) char *target = refs_read_target(stanza_id);
	struct ref ref = { .kind = REF_OWN_READ, .target = target, .author = "", .id = "", .value = "",
			   .encryption = "" };
	int r;

	r = conv_get(p, it);
	ref.conv = it->conv;
	if (r == 0)
		r = pending_drop_read(p, it->conv);
	if (r == 0)
		r = refs_apply(p, &ref);
	if (r == 0)
		r = pending_add(p, &ref);
	return r < 0 ? err_trace(r) : 0;
}

int archive_put_read(struct store *s, int64_t account, int64_t archive, const char *jid, const char *stanza_id,
		     int64_t now_us)
{
	_cleanup_(freep) char *bare = jid_bare(jid);
	struct put p = { .s = s, .account = account, .archive = archive, .own_bare = "", .now_us = now_us };
	struct item it = { .conv_jid = bare };
	int r;

	r = put_begin(&p);
	if (r == 0 && *bare && *stanza_id)
		r = put_read(&p, &it, stanza_id);
	r = put_end(&p, r);
	return r < 0 ? err_trace(r) : 0;
}
