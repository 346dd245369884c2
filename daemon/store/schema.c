#include "store/schema.h"

#include <stdio.h>

#include "base/err.h"
#include "base/log.h"
#include "store/index.h"

/*
 * Conventions. Every table is STRICT. Times are microseconds since the epoch. "mod" is the feed position at which the
 * row last changed (feed.mod of its account). Absent text is NULL. Ids that leave the process (account, msg) are
 * AUTOINCREMENT: never used again. Numbers behind enums are part of the format and are listed here.
 */
static const char schema_v1[] =
	/*
	 * What belongs to the file as a whole: 'epoch' is the random name of this archive's feed; the other names are told by
	 * those who use them (store_note_get(), count.h, leftover.h).
	 */
	"CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;"

	/*
	 * Configuration and secret of an account (store/account.h). removed: gone for everybody; its rows are deleted
	 * in bounded steps (store/purge.c), jid and secret were overwritten at once. first_msg: newest message of the
	 * first page or first live message: what sorts up to it is backlog for the unread rule (store/conv.c).
	 */
	"CREATE TABLE account("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" jid TEXT NOT NULL UNIQUE,"
	" password TEXT NOT NULL,"
	" enabled INTEGER NOT NULL,"
	" host TEXT, port INTEGER NOT NULL, tls INTEGER NOT NULL, ca_pem TEXT, allow_plain INTEGER NOT NULL,"
	" nick TEXT, resource TEXT,"
	" removed INTEGER NOT NULL DEFAULT 0,"
	" first_msg INTEGER"
	") STRICT;"

	/*
	 * The change feed of an account: mod is the last position given out; changes since a position below oldest
	 * can no longer be answered, because tombstones up to oldest were dropped.
	 */
	"CREATE TABLE feed("
	" account INTEGER PRIMARY KEY REFERENCES account,"
	" mod INTEGER NOT NULL DEFAULT 0,"
	" oldest INTEGER NOT NULL DEFAULT 0,"
	" tombstones INTEGER NOT NULL DEFAULT 0" /* rows in tombstone: their number is limited */
	") STRICT;"
	/* What is gone: kind 'contact' (key: JID), 'message' (row id), 'conversation' (JID). */
	"CREATE TABLE tombstone("
	" account INTEGER NOT NULL REFERENCES account, mod INTEGER NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL,"
	" PRIMARY KEY(account, mod)"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX tombstone_key ON tombstone(account, kind, key);"

	/*
	 * What XEP-0198 resumes (store/account.h, struct session). Written in the transaction of the messages it
	 * speaks about, so a row of its own. ahead: 32-bit little-endian stanza numbers, the offsets of core/ackline.h.
	 */
	"CREATE TABLE session("
	" account INTEGER PRIMARY KEY REFERENCES account,"
	" sm_id TEXT, sm_location TEXT, sm_max INTEGER NOT NULL,"
	" h_in INTEGER NOT NULL, ahead BLOB NOT NULL, h_out INTEGER NOT NULL, sent INTEGER NOT NULL,"
	" full_jid TEXT, features TEXT, archive INTEGER NOT NULL, stanza_ids INTEGER NOT NULL,"
	" resumes INTEGER NOT NULL, binds INTEGER NOT NULL, last_resume_us INTEGER NOT NULL,"
	" flights INTEGER NOT NULL, caught_up_us INTEGER NOT NULL"
	") STRICT;"

	/* RFC 6121 section 2. groups: one a line. ask: 1 we ask to see theirs, 2 they ask to see our presence; bits. */
	"CREATE TABLE roster("
	" account INTEGER NOT NULL REFERENCES account, jid TEXT NOT NULL,"
	" name TEXT, subscription TEXT, groups TEXT, ask INTEGER NOT NULL, mod INTEGER NOT NULL,"
	" PRIMARY KEY(account, jid)"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX roster_mod ON roster(account, mod);"

	/*
	 * A server archive (XEP-0313): jid '' is the account's own, else a room's. Ids of two archives never mix (C12). One
	 * that the server does not have any more has U+001F and its own number (store/renew.c).
	 */
	"CREATE TABLE archive("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER NOT NULL REFERENCES account, jid TEXT NOT NULL,"
	" UNIQUE(account, jid)"
	") STRICT;"
	/* Coverage (core/cover.h), oldest span first. flags: enum span_flag, 1 start 2 live 4 lost 8 empty 16 run
	 * 32 next. */
	"CREATE TABLE span("
	" archive INTEGER NOT NULL REFERENCES archive, seq INTEGER NOT NULL,"
	" first_id TEXT NOT NULL, first_us INTEGER NOT NULL, last_id TEXT NOT NULL, last_us INTEGER NOT NULL,"
	" flags INTEGER NOT NULL,"
	" PRIMARY KEY(archive, seq)"
	") STRICT, WITHOUT ROWID;"

	/*
	 * A conversation: jid is the other side's bare JID, kind 'direct' or 'room'. last_msg: newest row by sort key.
	 * read_msg: everything up to this row is read. unread, first_unread: kept by store/conv.c.
	 */
	"CREATE TABLE conv("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER NOT NULL REFERENCES account, jid TEXT NOT NULL,"
	" kind TEXT NOT NULL, mod INTEGER NOT NULL,"
	" last_msg INTEGER NOT NULL DEFAULT 0, activity_us INTEGER NOT NULL DEFAULT 0,"
	" read_msg INTEGER NOT NULL DEFAULT 0,"
	" unread INTEGER NOT NULL DEFAULT 0, first_unread INTEGER NOT NULL DEFAULT 0,"
	" flags INTEGER NOT NULL DEFAULT 0,"
	" UNIQUE(account, jid)"
	") STRICT;"
	"CREATE INDEX conv_activity ON conv(account, activity_us);"
	"CREATE INDEX conv_mod ON conv(account, mod);"

	/*
	 * A message, in its latest state. key: sort key (docs/decisions/0003-sort-keys.md). direction 0 in 1 out.
	 * state: enum message_state. kind 0 text 1 retracted 2 dropped. sender: full "from". hash: message_hash() of
	 * what was first received, mixed with who sent it: with an id it tells a second delivery from a second message.
	 * clock: where time_us comes from: 0 our clock, 1 a stamp of delayed delivery, 2 the archive.
	 * edit_*: the newest correction applied: sort key, its id, when.
	 */
	"CREATE TABLE msg("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER NOT NULL, conv INTEGER NOT NULL REFERENCES conv,"
	" key INTEGER NOT NULL, mod INTEGER NOT NULL, time_us INTEGER NOT NULL, clock INTEGER NOT NULL,"
	" delay_us INTEGER NOT NULL," /* the sender's own stamp, display data; 0 = none */
	" direction INTEGER NOT NULL, state INTEGER NOT NULL, kind INTEGER NOT NULL,"
	" sender TEXT NOT NULL, hash INTEGER NOT NULL,"
	" xmpp_id TEXT, origin_id TEXT, reply_id TEXT, reply_to INTEGER NOT NULL DEFAULT 0,"
	" encryption TEXT, error TEXT, error_text TEXT,"
	" edit_key INTEGER, edit_id TEXT, edit_us INTEGER NOT NULL DEFAULT 0,"
	" reacted INTEGER NOT NULL DEFAULT 0," /* msg_ref has reactions */
	" body TEXT"
	") STRICT;"
	/* History pages: of one conversation, of the account. The rowid is each index's last column. */
	"CREATE INDEX msg_page ON msg(conv, key);"
	"CREATE INDEX msg_account ON msg(account, key);"
	"CREATE INDEX msg_mod ON msg(account, mod);"
	/* Identity, and targets of corrections, receipts and so on. Most clients use one id for both. */
	"CREATE INDEX msg_id ON msg(conv, xmpp_id) WHERE xmpp_id IS NOT NULL;"
	"CREATE INDEX msg_origin ON msg(conv, origin_id) WHERE origin_id IS NOT NULL AND origin_id IS NOT xmpp_id;"
	/* Corrected messages: few. Used when sort keys move up. */
	"CREATE INDEX msg_edit ON msg(account, edit_key) WHERE edit_key IS NOT NULL;"
	"CREATE INDEX msg_reply ON msg(conv, reply_id) WHERE reply_id IS NOT NULL;"
	/* Unread messages: state 0 is that of incoming messages alone. */
	"CREATE INDEX msg_unread ON msg(conv, key) WHERE state = 0;"

	/*
	 * Archive ids: the identity of what is archived, and its place. msg NULL: it made no row of its own (a
	 * correction, a receipt, an empty message), but it is a place in the archive. placed: the sort key is final,
	 * because a run of the archive or the live end of a span fixed it. A message may own several (C1, C4).
	 */
	"CREATE TABLE aid("
	" archive INTEGER NOT NULL REFERENCES archive, id TEXT NOT NULL,"
	" key INTEGER NOT NULL, placed INTEGER NOT NULL, msg INTEGER REFERENCES msg ON DELETE CASCADE,"
	" PRIMARY KEY(archive, id)"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX aid_key ON aid(archive, key);"
	"CREATE INDEX aid_msg ON aid(msg, key) WHERE msg IS NOT NULL;"

	/*
	 * What others say about a message and more than its latest effect must be known. kind 0 correction: id is the
	 * correction's own id, which later corrections may name as their target (H2). kind 1 reaction: one row a
	 * sender, id = its stanza's ('' in files of before), value = emoji separated by tabs, '' = taken back. key: sort key,
	 * the newest wins.
	 */
	"CREATE TABLE msg_ref("
	" msg INTEGER NOT NULL REFERENCES msg ON DELETE CASCADE, kind INTEGER NOT NULL, sender TEXT NOT NULL,"
	" id TEXT NOT NULL, key INTEGER NOT NULL, value TEXT,"
	" PRIMARY KEY(msg, kind, sender, id)"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX msg_ref_id ON msg_ref(id) WHERE kind = 0;"

	/*
	 * Corrections, retractions, reactions, receipts, markers and errors whose target is not here yet (H1, H6).
	 * kind: enum ref_kind (store/refs.h). Applied and deleted when the
	 * target arrives; bounded, the oldest go first.
	 */
	"CREATE TABLE pending_ref("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER NOT NULL REFERENCES account,"
	" conv INTEGER NOT NULL REFERENCES conv, target TEXT NOT NULL, kind INTEGER NOT NULL, sender TEXT NOT NULL,"
	" ref_id TEXT, key INTEGER NOT NULL, time_us INTEGER NOT NULL, value TEXT, encryption TEXT,"
	" room INTEGER NOT NULL"
	") STRICT;"
	"CREATE INDEX pending_ref_target ON pending_ref(conv, target);"
	"CREATE INDEX pending_ref_account ON pending_ref(account, id);"

	"INSERT INTO meta VALUES('epoch', lower(hex(randomblob(8))));";

/*
 * The search index (store/index.h). Messages up to fts_state.upto are in it as they were when it came to them; what
 * changed or went since waits in fts_dirty with the text that the index still has. So storing a message never touches
 * the index, and a damaged index stops no message. (Nor could it: SQLite 3.40 lets no trigger write to a virtual table
 * while trusted_schema is off.) fts holds no text of its own: FTS5 reads fts_source for its integrity check alone.
 */
static const char schema_v2[] =
	/*
	 * tokenizer: TOKENIZER_VERSION that the index was made with. edits: how often batches of fts_dirty were taken
	 * into the index; erased: up to which of them no page holds the old words any more; erasing: edits when the
	 * merge job now at work began. clearing: the index is being emptied, and upto is 0.
	 */
	"CREATE TABLE fts_state("
	" k INTEGER PRIMARY KEY CHECK(k = 0), upto INTEGER NOT NULL, tokenizer INTEGER NOT NULL,"
	" edits INTEGER NOT NULL, erasing INTEGER NOT NULL, erased INTEGER NOT NULL, clearing INTEGER NOT NULL"
	") STRICT;"
	"INSERT INTO fts_state VALUES(0, 0, 1, 0, 0, 0, 0);"
	SCHEMA_DIRTY
	"CREATE VIEW fts_source(id, body) AS"
	" SELECT id, body FROM msg WHERE id <= (SELECT upto FROM fts_state) AND id NOT IN (SELECT id FROM fts_dirty)"
	" UNION ALL SELECT id, body FROM fts_dirty;"
	SCHEMA_INDEX
	"CREATE TRIGGER msg_body AFTER UPDATE OF body ON msg"
	" WHEN old.body IS NOT new.body AND old.id <= (SELECT upto FROM fts_state) BEGIN"
	"  INSERT OR IGNORE INTO fts_dirty VALUES(old.id, old.body); "
	"END;"
	"CREATE TRIGGER msg_gone AFTER DELETE ON msg"
	" WHEN old.body IS NOT NULL AND old.id <= (SELECT upto FROM fts_state) BEGIN"
	"  INSERT OR IGNORE INTO fts_dirty VALUES(old.id, old.body); "
	"END;";

/*
 * The outbox (store/outbox.h has its states), and what sending, reading states, blocking and local deletion have to
 * remember.
 */
static const char schema_v3[] =
	/*
	 * seq: order of sending, a position of the feed. kind: enum out_kind. state: enum out_state. msg: the row that it is or
	 * is about, 0 = none. hash: of the whole request: the same client_id with another is a conflict. to_jid: where
	 * that is not the conversation itself. body ... reply_jid: what SEND carries; gone once it is done. n, anchor:
	 * outbox_numbered(). again: 1 it was sent before and the server said that it has it not; 2 nobody said so.
	 * bounced: so many copies in the archive are of tries that came back as an error, at most: one for each, until
	 * outbox_bounces_known(). done_us: when it was first seen to be finished,
	 * 0 = not yet: acks come without a clock.
	 */
	"CREATE TABLE outbox("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER NOT NULL REFERENCES account,"
	" seq INTEGER NOT NULL, kind INTEGER NOT NULL, state INTEGER NOT NULL,"
	" conv INTEGER NOT NULL, msg INTEGER NOT NULL,"
	" client_id TEXT NOT NULL, hash INTEGER NOT NULL, written_us INTEGER NOT NULL,"
	" to_jid TEXT, body TEXT, target_id TEXT, text TEXT, reply_id TEXT, reply_jid TEXT,"
	" n INTEGER, anchor TEXT, strikes INTEGER NOT NULL DEFAULT 0, again INTEGER NOT NULL DEFAULT 0,"
	" bounced INTEGER NOT NULL DEFAULT 0, done_us INTEGER NOT NULL DEFAULT 0, error TEXT, error_text TEXT,"
	" UNIQUE(account, client_id)"
	") STRICT;"
	"CREATE INDEX outbox_state ON outbox(account, state, seq);"
	"CREATE INDEX outbox_doubt ON outbox(conv, seq) WHERE state = 2;"
	/* Of what is about a message; its own item has its client id. A Send writes as few pages as it can. */
	"CREATE INDEX outbox_about ON outbox(msg) WHERE kind > 0;"
	"CREATE INDEX outbox_done ON outbox(done_us) WHERE state >= 3;"

	/* asks: enum message_asks, what the sender asked for and was not told yet. ours: sent by this outbox;
	 * origin_id is then the client id. */
	"ALTER TABLE msg ADD COLUMN asks INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE msg ADD COLUMN ours INTEGER NOT NULL DEFAULT 0;"

	/*
	 * flags: 64 = a hole of the archive lies above the oldest message, as of the last time that holes came or went.
	 * What the user set: pinned, archived, muted_us (until then; the greatest number: for good), draft. opened_us:
	 * it is shown although it may have no message, since then. marked, told: newest message that the other side
	 * (XEP-0333), our other devices (XEP-0490) were told of. seen: newest message of ours that the other side has
	 * displayed. When one of these rows goes, the one before it stands for it.
	 * read_key: sort key up to which all is read although the row that said so is gone. floor, floor_us: what the
	 * archive has up to this key and before this stamp was deleted with the conversation, and is not stored when
	 * its page comes. purging: rows up to this one are still to be deleted, 0 = none.
	 */
	"ALTER TABLE conv ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE conv ADD COLUMN archived INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE conv ADD COLUMN muted_us INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE conv ADD COLUMN draft TEXT;"
	"ALTER TABLE conv ADD COLUMN opened_us INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE conv ADD COLUMN marked INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE conv ADD COLUMN told INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE conv ADD COLUMN seen INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE conv ADD COLUMN read_key INTEGER;"
	"ALTER TABLE conv ADD COLUMN floor INTEGER;"
	"ALTER TABLE conv ADD COLUMN floor_us INTEGER;"
	"ALTER TABLE conv ADD COLUMN purging INTEGER NOT NULL DEFAULT 0;"
	"DROP INDEX conv_activity;"
	"CREATE INDEX conv_order ON conv(account, pinned, activity_us);"
	"CREATE INDEX conv_purging ON conv(purging) WHERE purging > 0;"
	/* The key of account.first_msg where that row is gone. */
	"ALTER TABLE account ADD COLUMN first_key INTEGER;"

	/*
	 * Messages that were deleted here, as far as another copy of them may still come: what identity.c has to know
	 * to recognise it. Columns as in msg.
	 */
	"CREATE TABLE gone("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER NOT NULL REFERENCES account,"
	" conv INTEGER NOT NULL, xmpp_id TEXT, origin_id TEXT, direction INTEGER NOT NULL,"
	" time_us INTEGER NOT NULL, clock INTEGER NOT NULL, hash INTEGER NOT NULL, ours INTEGER NOT NULL,"
	" archived INTEGER NOT NULL" /* it had an archive id */
	") STRICT;"
	"CREATE INDEX gone_id ON gone(conv, xmpp_id) WHERE xmpp_id IS NOT NULL;"
	"CREATE INDEX gone_origin ON gone(conv, origin_id) WHERE origin_id IS NOT NULL AND origin_id IS NOT xmpp_id;"
	"CREATE INDEX gone_account ON gone(account, id);"

	/* XEP-0191. listed 0: in our list only because it is blocked or asks; the server's roster has it not. */
	"ALTER TABLE roster ADD COLUMN blocked INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE roster ADD COLUMN listed INTEGER NOT NULL DEFAULT 1;";

/*
 * What makes the next login shorter or safer (store/login.h). A row of its own: it changes with no message. token is
 * worth a password.
 */
static const char schema_v4[] =
	"CREATE TABLE login("
	" account INTEGER PRIMARY KEY REFERENCES account, user_agent TEXT NOT NULL,"
	" offer TEXT, pin INTEGER NOT NULL,"
	" token TEXT, token_mechanism TEXT, token_expiry_us INTEGER NOT NULL, avoid INTEGER NOT NULL,"
	" address TEXT, ticket TEXT"
	") STRICT;";

/*
 * What one conversation holds across the gaps of the account's archive (store/held.h): rows; between them nothing of it is
 * missing. held_from -1: nothing older exists at the server. NULL: nothing is known.
 */
static const char schema_v5[] =
	"ALTER TABLE conv ADD COLUMN held_from INTEGER;"
	"ALTER TABLE conv ADD COLUMN held_to INTEGER;";

/*
 * A Send writes as few pages as it can. What waits to be sent is found by its row id (store/outbox-row.c), because it stands
 * at the end of its table; a conversation's place in the list and in the feed are one index, which holds all that both need.
 */
static const char schema_v6[] =
	"DROP INDEX outbox_state;"
	"CREATE INDEX outbox_state ON outbox(account, state, seq) WHERE state <> 0;"
	"DROP INDEX conv_order;"
	"DROP INDEX conv_mod;"
	"CREATE INDEX conv_now ON conv(account, mod, pinned, activity_us);";

/*
 * Push services (store/push.h). They change with no message, and outlive the setting until the server was told. state: enum
 * push_state, 0 wanted 1 enabled 2 refused 3 to be taken back; at most one is below 3.
 */
static const char schema_v7[] =
	"CREATE TABLE push("
	" account INTEGER NOT NULL REFERENCES account, service TEXT NOT NULL, node TEXT NOT NULL,"
	" state INTEGER NOT NULL, reason TEXT,"
	" PRIMARY KEY(account, service)"
	") STRICT, WITHOUT ROWID;";

/*
 * Migrations: migrations[i] makes version i + 1 of version i. Each runs in a transaction of its own together with
 * its user_version. A line is added here, schema_v1 is never changed, and a test opens a file of the version before.
 */
static const char *const migrations[] = {
	NULL, /* version 1 is the first: schema_v1 */
	schema_v2,
	schema_v3,
	schema_v4,
	schema_v5,
	schema_v6,
	schema_v7,
};

static int run_version(struct store *s, const char *sql, int version)
{
	char done[96];
	int r;

	snprintf(done, sizeof(done), "PRAGMA user_version=%d; PRAGMA application_id=%d;", version,
		 SCHEMA_APPLICATION_ID);
	r = store_begin(s);
	if (r < 0)
		return err_trace(r);
	r = db_exec(s, sql);
	if (r == 0)
		r = db_exec(s, done);
	if (r < 0) {
		store_rollback(s);
		return err_trace(r);
	}
	r = store_commit(s);
	return r < 0 ? err_trace(r) : 0;
}

int schema_apply(struct store *s, bool fresh)
{
	int64_t version, app;
	int r;

	_Static_assert(ARRAY_SIZE(migrations) == SCHEMA_VERSION, "one line a version");
	if (fresh) {
		r = run_version(s, schema_v1, 1);
		if (r < 0)
			return err_trace(r);
	}
	r = db_pragma(s, "application_id", &app);
	if (r == 0)
		r = db_pragma(s, "user_version", &version);
	if (r < 0)
		return err_trace(r);
	if (app != SCHEMA_APPLICATION_ID || version < 1)
		return STORE_E_DAMAGED;
	if (version > SCHEMA_VERSION)
		return STORE_E_NEWER;
	for (int64_t v = version; v < SCHEMA_VERSION; v++) {
		if (!fresh)
			log_info("archive: from format %d to %d", (int)v, (int)v + 1);
		r = run_version(s, migrations[v], (int)v + 1);
		if (r < 0)
			return err_trace(r);
	}
	r = index_open(s);
	return r < 0 ? err_trace(r) : 0;
}
