/*
 * Every statement of the store: S(name, text). Parameters are numbered in the order in which they are put.
 */
#pragma once

/* A message as read-row.c hands it out; needs msg m and conv c. */
#define SQL_MESSAGE_COLUMNS                                                                                        \
	"m.id, m.mod, c.jid, m.sender, m.time_us, m.direction, m.state, m.kind, m.body,"                           \
	" (SELECT a.id FROM aid a WHERE a.msg=m.id ORDER BY a.key LIMIT 1), m.origin_id, m.xmpp_id,"               \
	" m.encryption, m.error, m.error_text,"                                                                    \
	" CASE m.reacted WHEN 0 THEN NULL ELSE (SELECT group_concat(x.sender||char(9)||x.value||char(10), '')"     \
	"  FROM msg_ref x WHERE x.msg=m.id AND x.kind=1 AND x.value<>'') END,"                                     \
	" m.edit_us, m.reply_to, m.key, m.delay_us, CASE m.ours WHEN 1 THEN m.origin_id END"
/* Size in bytes of the strings that a peer chooses: what READ_BYTES_MAX counts. */
#define SQL_MESSAGE_SIZE "coalesce(length(CAST(m.body AS BLOB)),0)+length(m.sender)+200"
/* What identity.c and refs.c must know of a message that may be the one. */
#define SQL_CANDIDATE_COLUMNS                                                                                      \
	"id, key, sender, direction, state, kind, time_us, clock, hash, xmpp_id, origin_id,"                       \
	" EXISTS(SELECT 1 FROM aid a JOIN archive v ON v.id=a.archive WHERE a.msg=msg.id"                          \
	" AND v.jid NOT GLOB char(31)||'*'), ours"
/* What search.c must know of a row that may be a hit; the body last, so that only a reader of it follows its pages. */
#define SQL_FOUND_COLUMNS "m.id, m.key, m.account, m.conv, m.kind, m.time_us, m.sender, m.body"
/* The row before message ?2, at key ?3, in conversation ?1. */
#define SQL_MESSAGE_BEFORE                                                                                         \
	"coalesce((SELECT b.id FROM msg b WHERE b.conv=?1 AND (b.key, b.id) < (?3, ?2)"                            \
	" ORDER BY b.key DESC, b.id DESC LIMIT 1), 0)"
#define SQL_GONE_COLUMNS "id, direction, time_us, clock, hash, xmpp_id, origin_id, archived, ours"
#define SQL_OUTBOX_COLUMNS "id, kind, state, conv, msg, again, bounced, hash, strikes, seq"
/* ${x}.jid is blocked, or all of its domain is (XEP-0191 section 2). */
#define SQL_DOMAIN_BLOCKED(x)                                                                                      \
	"EXISTS(SELECT 1 FROM roster b WHERE b.account=" x ".account AND b.blocked=1 AND b.jid="                   \
	"substr(" x ".jid, instr(" x ".jid, '@')+1))"
#define SQL_CONV_VISIBLE "(c.last_msg>0 OR c.opened_us>0)"
#define SQL_CONTACT_COLUMNS                                                                                        \
	"r.jid, r.name, r.subscription, r.groups, r.ask, r.mod, r.blocked OR " SQL_DOMAIN_BLOCKED("r") ", r.listed" \
	" FROM roster r"
#define SQL_CONV_COLUMNS                                                                                           \
	"c.jid, c.kind, coalesce(r.name, c.jid), c.mod, c.activity_us, c.unread, c.flags, c.first_unread, c.last_msg," \
	" c.id, c.pinned, c.archived, c.muted_us, c.draft, c.seen, coalesce(r.blocked, 0) OR "                     \
	SQL_DOMAIN_BLOCKED("c") ", r.subscription FROM conv c LEFT JOIN roster r ON r.account=c.account AND r.jid=c.jid"

/* No RETURNING in what runs for every message: SQLite makes a table for its row each time, which costs more than the
 * row. */
#define STORE_SQL(S)                                                                                               \
	S(BEGIN, "BEGIN IMMEDIATE")                                                                                \
	S(COMMIT, "COMMIT")                                                                                        \
	S(HOLD, "SELECT 1 FROM meta")                                                                              \
	S(EPOCH, "SELECT value FROM meta WHERE name='epoch'")                                                      \
	/* leftover.c */                                                                                           \
	S(META_GET, "SELECT value FROM meta WHERE name=?1")                                                        \
	S(META_PUT, "INSERT INTO meta VALUES(?1,?2) ON CONFLICT DO UPDATE SET value=excluded.value")               \
	S(META_FORGET_COPIES, "DELETE FROM meta WHERE name IN ('successor', 'predecessor', 'backup')")             \
	/* account.c, purge.c */                                                                                   \
	S(ACCOUNT_LIST, "SELECT id, jid, password, enabled, host, port, tls, ca_pem, allow_plain, nick, resource,"  \
			" (SELECT service FROM push WHERE account=account.id AND state<3)"                         \
			" FROM account WHERE removed=0 ORDER BY id")                                               \
	S(ACCOUNT_COUNT, "SELECT count(*) FROM account WHERE removed=0")                                           \
	S(ACCOUNT_FIND, "SELECT id FROM account WHERE jid=?1")                                                     \
	S(ACCOUNT_ADD, "INSERT INTO account(jid, password, enabled, host, port, tls, ca_pem, allow_plain, nick,"   \
		       " resource) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10) RETURNING id")                           \
	S(ACCOUNT_UPDATE, "UPDATE account SET jid=?1, password=?2, enabled=?3, host=?4, port=?5, tls=?6,"          \
			  " ca_pem=?7, allow_plain=?8, nick=?9, resource=?10 WHERE id=?11")                        \
	S(ACCOUNT_HIDE, "UPDATE account SET removed=1, enabled=0, jid='/removed/'||id, password='', ca_pem=NULL,"  \
			" nick=NULL, resource=NULL, host=NULL WHERE id=?1 AND removed=0")                          \
	S(ACCOUNT_REMOVED, "SELECT id FROM account WHERE removed=1 LIMIT 1")                                       \
	S(ACCOUNT_BACKLOG, "SELECT coalesce((SELECT key FROM msg WHERE id=a.first_msg), a.first_key)"              \
			   " FROM account a WHERE a.id=?1")                                                        \
	S(ACCOUNT_FIRST_MSG, "UPDATE account SET first_msg=(SELECT id FROM msg WHERE account=?1"                   \
			     " ORDER BY key DESC, id DESC LIMIT 1) WHERE id=?1 AND first_msg IS NULL")             \
	S(PURGE_PUSH, "DELETE FROM push WHERE account=?1")                                                         \
	S(PURGE_LOGIN, "DELETE FROM login WHERE account=?1")                                                       \
	S(PURGE_SESSION, "DELETE FROM session WHERE account=?1")                                                   \
	S(PURGE_ROSTER, "DELETE FROM roster WHERE account=?1")                                                     \
	S(PURGE_TOMBSTONE, "DELETE FROM tombstone WHERE (account, mod) IN"                                         \
			   " (SELECT account, mod FROM tombstone WHERE account=?1 LIMIT ?2)")                      \
	S(PURGE_PENDING, "DELETE FROM pending_ref WHERE id IN (SELECT id FROM pending_ref WHERE account=?1"        \
			 " LIMIT ?2)")                                                                             \
	S(PURGE_OUTBOX, "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE account=?1 LIMIT ?2)")        \
	S(PURGE_GONE, "DELETE FROM gone WHERE id IN (SELECT id FROM gone WHERE account=?1 LIMIT ?2)")              \
	S(PURGE_MSG, "DELETE FROM msg WHERE id IN (SELECT id FROM msg WHERE account=?1 LIMIT ?2)")                 \
	S(PURGE_AID, "DELETE FROM aid WHERE (archive, id) IN (SELECT d.archive, d.id FROM archive v"               \
		     " JOIN aid d ON d.archive=v.id WHERE v.account=?1 LIMIT ?2)")                                 \
	S(PURGE_SPAN, "DELETE FROM span WHERE archive IN (SELECT id FROM archive WHERE account=?1)")               \
	S(PURGE_ARCHIVE, "DELETE FROM archive WHERE account=?1")                                                   \
	S(PURGE_CONV, "DELETE FROM conv WHERE account=?1")                                                         \
	S(PURGE_FEED, "DELETE FROM feed WHERE account=?1")                                                         \
	S(PURGE_UNSETTLED, "DELETE FROM meta WHERE name IN"                                                        \
			   " (SELECT 'unsettled.'||v.id FROM archive v WHERE v.account=?1)")                                \
	S(PURGE_COUNT, "DELETE FROM meta WHERE name IN ('counted.'||?1, 'count.'||?1)")                            \
	S(PURGE_ACCOUNT, "DELETE FROM account WHERE id=?1")                                                        \
	/* session.c */                                                                                            \
	S(SESSION_GET, "SELECT sm_id, sm_location, sm_max, h_in, ahead, h_out, sent, full_jid, features, archive," \
		       " stanza_ids, resumes, binds, last_resume_us, flights, caught_up_us"                        \
		       " FROM session WHERE account=?1")                                                           \
	S(SESSION_PUT, "INSERT OR REPLACE INTO session VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15," \
		       "?16,?17)")                                                                                 \
	/* login.c */                                                                                              \
	S(LOGIN_GET, "SELECT user_agent, offer, pin, token, token_mechanism, token_expiry_us, avoid, address, ticket" \
		     " FROM login WHERE account=?1")                                                               \
	S(LOGIN_PUT, "INSERT OR REPLACE INTO login VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)")                        \
	/* push.c */                                                                                               \
	S(PUSH_LIST, "SELECT service, node, state, reason FROM push WHERE account=?1 ORDER BY state DESC, service") \
	S(PUSH_LEAVE, "UPDATE push SET state=3, reason=NULL WHERE account=?1 AND service<>?2 AND state<>3")        \
	S(PUSH_ADD, "INSERT INTO push VALUES(?1,?2,lower(hex(randomblob(16))),0,NULL) ON CONFLICT DO UPDATE"      \
		    " SET state=0, reason=NULL WHERE state=3")                                                     \
	S(PUSH_GOING, "SELECT count(*) FROM push WHERE account=?1 AND state=3")                                    \
	S(PUSH_PUT, "UPDATE push SET state=?3, reason=?4 WHERE account=?1 AND service=?2")                         \
	S(PUSH_DROP, "DELETE FROM push WHERE account=?1 AND service=?2")                                           \
	S(PUSH_VOID, "UPDATE push SET state=0, reason=NULL WHERE account=?1 AND state IN (1,2)")                   \
	/* roster.c */                                                                                             \
	S(ROSTER_GET, "SELECT jid, name, subscription, groups, ask, mod, blocked, listed FROM roster"              \
		      " WHERE account=?1 AND jid=?2")                                                              \
	S(ROSTER_PUT, "INSERT INTO roster(account, jid, name, subscription, groups, ask, mod, listed, blocked)"    \
		      " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9) ON CONFLICT DO UPDATE SET name=excluded.name,"          \
		      " subscription=excluded.subscription, groups=excluded.groups, ask=excluded.ask,"             \
		      " mod=excluded.mod, listed=excluded.listed, blocked=excluded.blocked")                       \
	S(ROSTER_DELETE, "DELETE FROM roster WHERE account=?1 AND jid=?2")                                         \
	S(ROSTER_TRUSTS, "SELECT EXISTS(SELECT 1 FROM roster WHERE account=?1 AND jid=?2"                          \
			 " AND subscription IN ('from', 'both') AND blocked=0) OR 1 IN (SELECT direction FROM (SELECT m.direction" \
			 " FROM conv c JOIN msg m ON m.conv=c.id WHERE c.account=?1 AND c.jid=?2"                  \
			 " ORDER BY m.key DESC LIMIT ?3))")                                                        \
	S(ROSTER_PERSON, "SELECT EXISTS(SELECT 1 FROM roster WHERE account=?1 AND jid=?2"                          \
			 " AND subscription IN ('to', 'from', 'both'))")                                           \
	S(ROSTER_JIDS, "SELECT jid FROM roster WHERE account=?1 AND listed=1")                                     \
	S(ROSTER_BLOCKED, "SELECT jid FROM roster WHERE account=?1 AND blocked=1")                                 \
	/* ask: 2 is ASK_THEIRS */                                                                                 \
	S(ROSTER_STRANGERS, "SELECT jid FROM roster WHERE account=?1 AND ask=2 AND listed=0 AND blocked=0"         \
			    " ORDER BY mod DESC LIMIT -1 OFFSET ?2")                                               \
	S(ROSTER_CHANGED, "SELECT " SQL_CONTACT_COLUMNS " WHERE r.account=?1 AND r.mod>?2 ORDER BY r.mod LIMIT ?3") \
	S(ROSTER_LIST, "SELECT " SQL_CONTACT_COLUMNS " WHERE r.account=?1 AND r.jid>?2 ORDER BY r.jid LIMIT ?3")   \
	S(ROSTER_ONE, "SELECT " SQL_CONTACT_COLUMNS " WHERE r.account=?1 AND r.jid=?2")                            \
	S(ROSTER_OF_DOMAIN, "SELECT jid FROM roster WHERE account=?1 AND jid LIKE ?2 ESCAPE '\\'")                 \
	S(ROSTER_TOUCH, "UPDATE roster SET mod=?3 WHERE account=?1 AND jid=?2")                                    \
	S(CONV_OF_DOMAIN, "SELECT jid FROM conv WHERE account=?1 AND jid LIKE ?2 ESCAPE '\\'")                     \
	/* feed.c */                                                                                               \
	S(FEED_ADD, "INSERT INTO feed(account) VALUES(?1)")                                                        \
	S(FEED_GET, "SELECT mod, oldest FROM feed WHERE account=?1")                                               \
	S(FEED_PUT, "UPDATE feed SET mod=?2 WHERE account=?1")                                                     \
	S(TOMBSTONE_ADD, "INSERT INTO tombstone VALUES(?1,?2,?3,?4)")                                              \
	S(TOMBSTONE_DROP, "DELETE FROM tombstone WHERE account=?1 AND kind=?2 AND key=?3")                         \
	S(TOMBSTONE_OLDEST, "SELECT mod FROM tombstone WHERE account=?1 ORDER BY mod LIMIT 1")                     \
	S(TOMBSTONE_DELETE, "DELETE FROM tombstone WHERE account=?1 AND mod=?2")                                   \
	S(TOMBSTONE_COUNT, "UPDATE feed SET tombstones=tombstones+?2 WHERE account=?1 RETURNING tombstones")       \
	S(TOMBSTONE_CHANGED, "SELECT kind, key, mod FROM tombstone WHERE account=?1 AND mod>?2"                    \
			     " ORDER BY mod LIMIT ?3")                                                             \
	S(FEED_OLDEST, "UPDATE feed SET oldest=?2 WHERE account=?1")                                               \
	/* archive.c, cover.c */                                                                                   \
	S(ARCHIVE_GET, "SELECT id FROM archive WHERE account=?1 AND jid=?2")                                       \
	S(ARCHIVE_ADD, "INSERT INTO archive(account, jid) VALUES(?1,?2)")                                          \
	/* count.c; ids are not of the account alone, and no index has them */                                     \
	S(COUNT_GET, "SELECT coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name='counted.'||?1), 0),"    \
		     " coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name='count.'||?1), 0)")            \
	S(COUNT_ALL, "SELECT count(*) FROM msg WHERE account=?1 AND +id>?2 AND +id<=?3")                           \
	S(COUNT_ROWS, "SELECT count(*) FROM msg NOT INDEXED WHERE account=?1 AND id>?2 AND id<=?3")                \
	S(COUNT_PUT, "INSERT INTO meta VALUES('counted.'||?1, CAST(?2 AS TEXT)), ('count.'||?1, CAST(?3 AS TEXT))" \
		     " ON CONFLICT DO UPDATE SET value=excluded.value")                                            \
	S(COUNT_LESS, "UPDATE meta SET value=CAST(CAST(value AS INTEGER)-1 AS TEXT) WHERE name='count.'||?1"       \
		      " AND ?2<=(SELECT CAST(value AS INTEGER) FROM meta WHERE name='counted.'||?1)")              \
	S(COUNT_BEHIND, "SELECT a.id FROM account a WHERE a.removed=0 AND (SELECT max(id) FROM msg)-?1>"           \
			"coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name='counted.'||a.id), 0) LIMIT 1") \
	S(SPAN_LIST, "SELECT first_id, first_us, last_id, last_us, flags, seq FROM span WHERE archive=?1 ORDER BY seq") \
	S(SPAN_PUT, "INSERT INTO span VALUES(?1,?2,?3,?4,?5,?6,?7) ON CONFLICT DO UPDATE SET"                      \
		    " first_id=excluded.first_id, first_us=excluded.first_us, last_id=excluded.last_id,"           \
		    " last_us=excluded.last_us, flags=excluded.flags WHERE (first_id, first_us, last_id, last_us," \
		    " flags) IS NOT (excluded.first_id, excluded.first_us, excluded.last_id, excluded.last_us,"    \
		    " excluded.flags)")                                                                            \
	/* walls.c: ?2 = 1 if what lies below the holes is wanted, too */                                          \
	S(SPAN_WALLS, "SELECT s.flags, s.first_us, s.last_us, (SELECT a.key FROM aid a WHERE a.archive=s.archive"  \
		      " AND a.id=s.first_id), CASE ?2 WHEN 1 THEN (SELECT a.key FROM aid a WHERE a.archive=s.archive" \
		      " AND a.id=s.last_id) END FROM span s WHERE s.archive=?1 ORDER BY s.seq")                    \
	/* archive-look.c: RECHECK_ALL or a stamp; no row: all that is held was settled */                          \
	S(UNSETTLED_GET, "SELECT CAST(value AS INTEGER) FROM meta WHERE name='unsettled.'||?1")                   \
	S(UNSETTLED_SET, "INSERT INTO meta VALUES('unsettled.'||?1, CAST(?2 AS TEXT)) ON CONFLICT DO UPDATE SET"  \
			 " value=excluded.value")                                                                 \
	S(UNSETTLED_DROP, "DELETE FROM meta WHERE name='unsettled.'||?1")                                         \
	/* renew.c */                                                                                               \
	S(ARCHIVE_RETIRE, "UPDATE archive SET jid=char(31)||id WHERE id=?1")                                        \
	/* what was taken for a second one under an id is the one that has it (cover_twin_id()) */                 \
	S(AID_MOVE, "UPDATE OR IGNORE aid SET archive=?1, id=CASE WHEN substr(id,1,2)=char(31)||'=' AND NOT EXISTS(" \
		    "SELECT 1 FROM aid a WHERE a.archive=?2 AND a.id=substr(aid.id,20) AND a.key>?3)"               \
		    " THEN substr(id,20) ELSE id END WHERE archive=?2 AND key>?3")                                  \
	S(HELD_FORGET, "UPDATE conv SET held_from=NULL, held_to=NULL WHERE account=?1")                             \
	S(ARCHIVE_OWNER, "SELECT account FROM archive WHERE id=?1 AND jid=''")                                     \
	S(SPAN_CUT, "DELETE FROM span WHERE archive=?1 AND seq>=?2")                                               \
	S(AID_GET, "SELECT key, placed, msg FROM aid WHERE archive=?1 AND id=?2")                                  \
	S(AID_ADD, "INSERT INTO aid(archive, id, key, placed, msg) VALUES(?1,?2,?3,?4,nullif(?5,0))")              \
	S(AID_PLACE, "UPDATE aid SET key=?1, placed=1 WHERE archive=?2 AND id=?3")                                 \
	S(AID_BELOW, "SELECT key FROM aid WHERE archive=?1 AND key<?2 AND placed=1 ORDER BY key DESC LIMIT 1")     \
	S(AID_ABOVE, "SELECT key FROM aid WHERE archive=?1 AND key>?2 AND placed=1 ORDER BY key LIMIT 1")          \
	S(AID_TOP, "SELECT max(key) FROM aid WHERE archive=?1")                                                    \
	S(AID_LOOSEN, "UPDATE aid SET placed=0 WHERE archive=?1 AND key>?2 AND key<?3 AND placed=1")                \
	S(AID_COUNT, "SELECT count(*) FROM (SELECT 1 FROM aid WHERE archive=?1 AND key>?2 AND key<?3 AND placed=1"  \
		     " LIMIT ?4)")                                                                               \
	S(AID_RANGE, "SELECT id FROM aid WHERE archive=?1 AND key>=?2 AND key<?3 AND placed=1 LIMIT ?4")           \
	S(AID_RANGE_CONV, "SELECT a.id FROM msg m JOIN aid a ON a.msg=m.id WHERE m.conv=(SELECT id FROM conv"      \
			  " WHERE account=?5 AND jid=?6) AND m.key>=?2 AND m.key<?3 AND a.archive=?1"              \
			  " AND a.key>=?2 AND a.key<?3 AND a.placed=1 LIMIT ?4")                                   \
	/* held.c */                                                                                                \
	S(HELD_GET, "SELECT held_from, held_to FROM conv WHERE id=?1 AND held_from IS NOT NULL")                    \
	S(HELD_SET, "UPDATE conv SET held_from=?1, held_to=?2 WHERE id=?3")                                         \
	S(HELD_KEY, "SELECT key FROM msg WHERE id=?1")                                                              \
	/* screens.c */                                                                                             \
	S(SCREEN_CANDIDATES, "SELECT jid FROM (SELECT jid, activity_us AS at FROM conv WHERE account=?1"            \
			     " AND kind='direct' UNION ALL SELECT jid, 0 FROM roster WHERE account=?1 AND listed=1)" \
			     " GROUP BY jid ORDER BY max(at) DESC, jid LIMIT ?2")                                   \
	S(SCREEN_ROWS, "SELECT count(*) FROM (SELECT 1 FROM msg WHERE conv=(SELECT id FROM conv WHERE account=?1"   \
		       " AND jid=?2) AND key>=?3 LIMIT ?4)")                                                        \
	S(SCREEN_TOP, "SELECT msg FROM aid WHERE archive=?1 AND placed=1 AND msg IS NOT NULL"     \
		      " ORDER BY key DESC LIMIT 1")                                                                                   \
	S(AID_ROW_KEY, "SELECT min(key) FROM aid WHERE msg=?1 AND placed=1")                                       \
	S(AID_TIME, "SELECT m.time_us, m.id FROM aid a JOIN msg m ON m.id=a.msg WHERE a.archive=?1 AND a.id=?2")   \
	/* place.c: everything of the account from a key on moves up */                                            \
	S(SHIFT_MSG, "UPDATE msg SET key=key+?1 WHERE account=?2 AND key>=?3")                                     \
	S(SHIFT_EDIT, "UPDATE msg SET edit_key=edit_key+?1 WHERE account=?2 AND edit_key IS NOT NULL"              \
		      " AND edit_key>=?3")                                                                         \
	S(SHIFT_AID, "UPDATE aid SET key=key+?1 WHERE archive IN (SELECT id FROM archive WHERE account=?2)"        \
		     " AND key>=?3")                                                                               \
	S(SHIFT_REF, "UPDATE msg_ref SET key=key+?1 WHERE (SELECT account FROM msg WHERE id=msg_ref.msg)=?2"       \
		     " AND key>=?3")                                                                               \
	S(SHIFT_PENDING, "UPDATE pending_ref SET key=key+?1 WHERE account=?2 AND key>=?3")                         \
	S(SHIFT_CONV, "UPDATE conv SET read_key=CASE WHEN read_key>=?3 THEN read_key+?1 ELSE read_key END,"        \
		      " floor=CASE WHEN floor>=?3 THEN floor+?1 ELSE floor END WHERE account=?2"                   \
		      " AND (read_key>=?3 OR floor>=?3)")                                                          \
	S(SHIFT_ACCOUNT, "UPDATE account SET first_key=first_key+?1 WHERE id=?2 AND first_key>=?3")                \
	/* row.c */                                                                                                \
	S(MSG_TOP, "SELECT max(key) FROM msg WHERE account=?1")                                                    \
	S(IDS_GET, "SELECT seq FROM sqlite_sequence WHERE name=?1")                                                \
	S(IDS_PUT, "UPDATE sqlite_sequence SET seq=?2 WHERE name=?1")                                              \
	S(IDS_ADD, "INSERT INTO sqlite_sequence VALUES(?1,?2)")                                                    \
	S(MSG_ADD, "INSERT INTO msg(account, conv, key, mod, time_us, clock, delay_us, direction, state, kind,"    \
		   " sender, hash, xmpp_id, origin_id, reply_id, reply_to, encryption, error, error_text, body,"   \
		   " asks, ours, id)"                                                                              \
		   " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22,?23)")  \
	S(MSG_STATE, "SELECT conv, key, time_us, clock, direction, state, kind, edit_key, edit_id, body, encryption," \
		     " edit_us FROM msg WHERE id=?1")                                                              \
	S(MSG_SET_KEY, "UPDATE msg SET key=?1, mod=?2 WHERE id=?3")                                                \
	S(MSG_SET_TIME, "UPDATE msg SET time_us=?1, clock=?2, mod=coalesce(?3, mod) WHERE id=?4")                  \
	S(MSG_SET_STATE, "UPDATE msg SET state=?1, mod=?2, error=?3, error_text=?4 WHERE id=?5")                   \
	S(MSG_EDIT, "UPDATE msg SET body=?1, encryption=?2, edit_key=?3, edit_id=?4, edit_us=?5, mod=?6"           \
		    " WHERE id=?7")                                                                                \
	S(MSG_EDIT_KEY, "UPDATE msg SET edit_key=?1, edit_us=coalesce(?2, edit_us), mod=coalesce(?3, mod)"         \
			" WHERE id=?4")                                                                            \
	S(MSG_RETRACT, "UPDATE msg SET kind=1, body=NULL, encryption=NULL, reacted=0, edit_key=NULL, edit_id=NULL," \
		       " edit_us=0, state=CASE state WHEN 0 THEN 1 ELSE state END, mod=?1 WHERE id=?2")            \
	S(MSG_REACTED, "UPDATE msg SET reacted=1, mod=?1 WHERE id=?2")                                             \
	S(MSG_REPLY_TO, "UPDATE msg SET reply_to=?1, mod=?2 WHERE id=?3")                                          \
	S(MSG_REPLIES, "SELECT id, key, time_us FROM msg WHERE conv=?1 AND reply_id=?2 AND reply_id IS NOT NULL"   \
		       " AND reply_to=0 LIMIT ?3")                                                                 \
	S(MSG_ANSWERS, "SELECT id FROM msg WHERE conv=?1 AND reply_id=?2 AND reply_id IS NOT NULL AND reply_to=?4" \
		       " LIMIT ?3")                                                                                \
	/* ?4: enum row_side */                                                                                    \
	S(MSG_BY_ID, "SELECT " SQL_CANDIDATE_COLUMNS " FROM msg WHERE conv=?1 AND xmpp_id=?2"                      \
		     " AND xmpp_id IS NOT NULL AND ?4 IN (direction, 2) ORDER BY id DESC LIMIT ?3")                \
	S(MSG_BY_ORIGIN, "SELECT " SQL_CANDIDATE_COLUMNS " FROM msg WHERE conv=?1 AND origin_id=?2"                \
			 " AND origin_id IS NOT NULL AND origin_id IS NOT xmpp_id AND ?4 IN (direction, 2)"        \
			 " ORDER BY id DESC LIMIT ?3")                                                             \
	S(MSG_BY_ROW, "SELECT " SQL_CANDIDATE_COLUMNS " FROM msg WHERE conv=?1 AND id=?2 LIMIT ?3")                \
	/* present.c */                                                                                            \
	S(MSG_PRESENT, "SELECT m.conv, m.key, m.time_us, m.clock, m.hash, m.state, m.kind, m.direction, m.ours,"    \
		      " c.kind, m.encryption IS NOT NULL, EXISTS(SELECT 1 FROM aid a WHERE a.msg=m.id), c.jid,"    \
		      " m.xmpp_id, m.origin_id, m.sender, m.body, m.reply_id,"                                     \
		      " (SELECT t.sender FROM msg t WHERE t.id=m.reply_to)"                                        \
		      " FROM msg m JOIN conv c ON c.id=m.conv WHERE m.id=?1 AND m.account=?2")                     \
	/* refs.c, pending.c */                                                                                    \
	S(REF_CORRECTED, "SELECT r.msg FROM msg_ref r JOIN msg m ON m.id=r.msg WHERE r.id=?1 AND r.kind=0"         \
			 " AND m.conv=?2 ORDER BY m.key DESC LIMIT 1")                                             \
	S(REF_COUNT, "SELECT count(*) FROM msg_ref WHERE msg=?1 AND kind=?2")                                      \
	S(REF_GET, "SELECT key, value, id FROM msg_ref WHERE msg=?1 AND kind=?2 AND sender=?3 ORDER BY key DESC LIMIT 1") \
	S(REF_FORGET, "DELETE FROM msg_ref WHERE msg=?1 AND kind=?2 AND sender=?3")                                \
	S(REF_PUT, "INSERT INTO msg_ref(msg, kind, sender, id, key, value) VALUES(?1,?2,?3,?4,?5,?6)"              \
		   " ON CONFLICT DO UPDATE SET key=excluded.key, value=excluded.value")                            \
	S(REF_DROP, "DELETE FROM msg_ref WHERE msg=?1 AND kind=?2")                                                \
	S(GONE_ANY, "SELECT 1 FROM gone WHERE account=?1 LIMIT 1")                                                 \
	S(PENDING_ANY, "SELECT 1 FROM pending_ref WHERE account=?1 LIMIT 1")                                       \
	S(PENDING_ADD, "INSERT INTO pending_ref(account, conv, target, kind, sender, ref_id, key, time_us, value," \
		       " encryption, room) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)")                            \
	S(PENDING_SAME, "SELECT id, key FROM pending_ref WHERE conv=?1 AND target=?2 AND kind=?3 AND sender=?4"         \
			" AND ref_id IS ?5 AND value IS ?6")                                                       \
	S(PENDING_GET, "SELECT id, kind, target, sender, ref_id, key, time_us, value, encryption, room"            \
		       " FROM pending_ref WHERE conv=?1 AND target=?2 AND id>?3 ORDER BY id LIMIT 1")              \
	S(PENDING_READ, "DELETE FROM pending_ref WHERE conv=?1 AND kind=6")                                        \
	S(PENDING_DELETE, "DELETE FROM pending_ref WHERE id=?1")                                                   \
	S(PENDING_COUNT, "SELECT count(*) FROM pending_ref WHERE account=?1")                                      \
	/* of whom most wait, the oldest; what we say ourselves (kind 6: our reading state) last */           \
	S(PENDING_TRIM, "DELETE FROM pending_ref WHERE id IN (SELECT id FROM pending_ref WHERE conv=(SELECT conv"  \
			" FROM pending_ref WHERE account=?1 GROUP BY conv ORDER BY count(*) DESC, min(id) LIMIT 1)"  \
			" ORDER BY kind=6 OR sender=?2, id LIMIT ?3)")                                            \
	S(PENDING_ENDS, "SELECT (SELECT max(id) FROM pending_ref WHERE account=?1) -"                              \
			" (SELECT min(id) FROM pending_ref WHERE account=?1)")                                     \
	/* outbox.c and its parts */                                                                               \
	S(OUTBOX_ANY, "SELECT 1 FROM outbox WHERE account=?1 LIMIT 1")                                             \
	S(OUTBOX_MAKE_ID, "SELECT lower(hex(randomblob(16)))")                                                     \
	S(OUTBOX_ADD, "INSERT INTO outbox(account, seq, kind, state, conv, msg, client_id, hash, written_us,"      \
		      " to_jid, body, target_id, text, reply_id, reply_jid, id)"                                   \
		      " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16)")                           \
	S(OUTBOX_BY_CLIENT, "SELECT " SQL_OUTBOX_COLUMNS " FROM outbox WHERE account=?1 AND client_id=?2")         \
	S(OUTBOX_BY_ID, "SELECT " SQL_OUTBOX_COLUMNS " FROM outbox WHERE account=?1 AND id=?2")                    \
	S(OUTBOX_OF_MSG, "SELECT " SQL_OUTBOX_COLUMNS " FROM outbox WHERE account=?2 AND kind=0 AND msg=?1"         \
			 " AND client_id=(SELECT coalesce(origin_id, xmpp_id) FROM msg WHERE id=?1) UNION ALL"     \
			 " SELECT " SQL_OUTBOX_COLUMNS " FROM outbox WHERE msg=?1 AND kind>0 AND account=?2")      \
	S(OUTBOX_IN_STATE, "SELECT " SQL_OUTBOX_COLUMNS " FROM outbox WHERE account=?1 AND state=?2 AND state<>0 ORDER BY seq") \
	S(OUTBOX_UPTO, "SELECT " SQL_OUTBOX_COLUMNS " FROM outbox WHERE account=?1 AND state=1 AND state<>0"       \
		       " AND ((?2-n) & 4294967295)<2147483648 ORDER BY seq")                                       \
	/* what waits is found by row id, from outbox_low() on; the inner one sorts numbers alone, whatever the texts weigh */ \
	S(OUTBOX_LOW, "SELECT coalesce((SELECT id FROM outbox NOT INDEXED WHERE id>=?2 AND account=?1 AND state=0" \
		      " ORDER BY id LIMIT 1), (SELECT max(id) FROM outbox)+1, 1)")                                 \
	S(OUTBOX_LAST, "SELECT max(id) FROM outbox")                                                               \
	S(OUTBOX_NEXT, "SELECT o.id, o.kind, o.seq, o.msg, o.strikes, o.again, o.written_us,"                      \
		       " coalesce(o.to_jid, c.jid), o.client_id, o.body, o.target_id, o.text, o.reply_id, o.reply_jid" \
		       " FROM (SELECT w.id FROM outbox w NOT INDEXED WHERE w.id>=?4 AND w.account=?1 AND w.state=0" \
		       " AND (w.kind>3 OR w.seq>?2 AND NOT EXISTS(SELECT 1 FROM outbox d WHERE d.conv=w.conv AND d.state=2"     \
		       " AND d.seq<w.seq)) ORDER BY w.kind>3, w.seq LIMIT ?3) x"                                   \
		       " JOIN outbox o ON o.id=x.id JOIN conv c ON c.id=o.conv ORDER BY o.kind>3, o.seq")          \
	S(OUTBOX_OLDEST_DOUBT, "SELECT o.anchor, o.written_us FROM outbox o LEFT JOIN archive v"                   \
			       " ON v.account=o.account AND v.jid='' LEFT JOIN aid a ON a.archive=v.id AND a.id=o.anchor" \
			       " WHERE o.account=?1 AND o.state=2 AND o.state<>0"                                  \
			       " ORDER BY coalesce(a.key, -9223372036854775807), o.written_us LIMIT 1")            \
	S(OUTBOX_UNPROVEN, "SELECT id FROM (SELECT id, msg FROM outbox WHERE account=?1 AND state=3"              \
			   " AND state<>0 AND kind=0 ORDER BY seq DESC LIMIT 1) o"                              \
			   " WHERE NOT EXISTS(SELECT 1 FROM aid WHERE aid.msg=o.msg)")                             \
	S(OUTBOX_NUMBER, "UPDATE outbox SET n=?2, anchor=?3 WHERE id=?1")                                          \
	S(OUTBOX_ENTER, "UPDATE outbox SET state=?2, again=max(again, ?3), error=?4, error_text=?5,"               \
			" n=CASE ?2 WHEN 1 THEN n END, anchor=CASE ?2 WHEN 2 THEN anchor END, done_us=0 WHERE id=?1") \
	S(OUTBOX_DONE, "UPDATE outbox SET state=3, n=NULL, anchor=NULL, body=NULL, target_id=NULL, text=NULL,"     \
		       " reply_id=NULL, reply_jid=NULL, error=NULL, error_text=NULL, done_us=0 WHERE id=?1")       \
	S(OUTBOX_EMPTY, "UPDATE outbox SET body=NULL, target_id=NULL, text=NULL, reply_id=NULL, reply_jid=NULL"    \
			" WHERE id=?1")                                                                            \
	S(OUTBOX_DELETE, "DELETE FROM outbox WHERE id=?1")                                                         \
	S(OUTBOX_STRIKE, "UPDATE outbox SET strikes=strikes+1 WHERE id=?1")                                        \
	S(OUTBOX_BOUNCES_KNOWN, "UPDATE outbox SET bounced=(SELECT count(*) FROM aid WHERE msg=outbox.msg)"        \
				" WHERE id IN (SELECT id FROM outbox WHERE account=?1 AND state=4 AND state<>0 AND bounced>0" \
				" UNION ALL SELECT id FROM outbox NOT INDEXED WHERE id>=?2 AND account=?1 AND state=0"     \
				" AND bounced>0)")                                                                         \
	S(OUTBOX_BOUNCED, "UPDATE outbox SET bounced=bounced+1 WHERE id=?1")                                       \
	S(OUTBOX_SUPERSEDED, "SELECT 1 FROM outbox o JOIN outbox l ON l.msg=o.msg AND l.kind=o.kind AND l.seq>o.seq" \
			     " WHERE o.account=?1 AND o.client_id=?2 AND o.msg<>0 AND l.account=o.account"         \
			     " AND l.state NOT IN (4, 5) AND l.kind>0 LIMIT 1")                                                 \
	S(OUTBOX_WAITING, "SELECT 1 FROM outbox NOT INDEXED WHERE id>=?3 AND account=?1 AND state=0 ORDER BY id"   \
			  " LIMIT 1 OFFSET ?2")                                                                    \
	S(OUTBOX_COUNT, "SELECT state, count(*) FROM outbox o WHERE account=?1 AND state IN (1, 2, 4) AND state<>0" \
			" AND kind<=3 AND (state<>4 OR EXISTS(SELECT 1 FROM msg m WHERE m.id=o.msg)) GROUP BY state" \
			" UNION ALL SELECT 0, count(*) FROM outbox NOT INDEXED WHERE id>=?2 AND account=?1 AND state=0" \
			" AND kind<=3")                                                                            \
	S(OUTBOX_FAILED, "SELECT o.msg FROM outbox o JOIN msg m ON m.id=o.msg WHERE o.account=?1 AND o.state=4 AND o.state<>0" \
			 " AND o.kind<=3 GROUP BY o.msg ORDER BY min(o.seq) LIMIT ?2")                             \
	S(OUTBOX_SEEN_DONE, "UPDATE outbox SET done_us=?1 WHERE id IN (SELECT id FROM outbox WHERE state>=3"       \
			    " AND done_us=0 LIMIT ?2)")                                                            \
	S(OUTBOX_EXPIRE, "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE state>=3 AND done_us>0"      \
			 " AND done_us<=?1 LIMIT ?2)")                                                             \
	S(OUTBOX_DUE, "SELECT EXISTS(SELECT 1 FROM outbox WHERE state>=3 AND done_us>0 AND done_us<=?1)")          \
	S(OUTBOX_RENEW, "UPDATE outbox SET seq=?2, written_us=?3, strikes=0 WHERE id=?1")                          \
	S(OUTBOX_REFILL, "UPDATE outbox SET body=?2, reply_id=?3, reply_jid=?4 WHERE id=?1")                       \
	/* of others' messages: the newest of some rows that asks for it (1 receipt, 2 marker) */                  \
	S(OWED_RECEIPT, "SELECT id, conv, xmpp_id, sender FROM msg WHERE id=?1 AND account=?2 AND direction=0"     \
			" AND asks & 1 AND xmpp_id IS NOT NULL")                                                   \
	S(OWED_CONV, "SELECT conv FROM msg WHERE id=?1 AND account=?2 AND direction=0")                              \
	S(OWED_CLEAR, "UPDATE msg SET asks=asks & ~?2 WHERE id=?1")                                                \
	S(OWED_MARKER, "SELECT id, conv, xmpp_id, NULL FROM (SELECT id, key, conv, xmpp_id, direction, asks FROM msg" \
		       " WHERE conv=?1 AND key<=(SELECT key FROM msg WHERE id=?2) AND key>"                        \
		       " coalesce((SELECT t.key FROM conv c JOIN msg t ON t.id=c.marked WHERE c.id=?1), -9223372036854775807)" \
		       " ORDER BY key DESC LIMIT ?3) WHERE direction=0 AND asks & 2 AND xmpp_id IS NOT NULL"       \
		       " ORDER BY key DESC LIMIT 1")                                                               \
	S(OWED_READ, "SELECT id, conv, (SELECT a.id FROM aid a WHERE a.msg=n.id AND a.archive=?4 ORDER BY a.key LIMIT 1)" \
		     " AS stanza, NULL FROM (SELECT id, key, conv, direction FROM msg"                             \
		     " WHERE conv=?1 AND key<=(SELECT key FROM msg WHERE id=?2) AND key>"                          \
		     " coalesce((SELECT t.key FROM conv c JOIN msg t ON t.id=c.told WHERE c.id=?1), -9223372036854775807)" \
		     " ORDER BY key DESC LIMIT ?3) n WHERE direction=0 AND stanza IS NOT NULL"                     \
		     " ORDER BY key DESC LIMIT 1")                                                                 \
	S(OWED_DROP, "DELETE FROM outbox NOT INDEXED WHERE id>=?3 AND conv=?1 AND kind=?2 AND state=0")            \
	S(CONV_MARKED, "UPDATE conv SET marked=?2 WHERE id=?1")                                                    \
	S(CONV_TOLD, "UPDATE conv SET told=?2 WHERE id=?1")                                                        \
	S(AID_OF_ROW, "SELECT count(*) FROM aid WHERE msg=?1")                                                     \
	/* conv.c */                                                                                               \
	S(CONV_FIND, "SELECT id, kind FROM conv WHERE account=?1 AND jid=?2")                                      \
	S(CONV_KNOW, "SELECT c.id, c.kind, max(ifnull(m.key, c.read_key), ifnull(c.read_key, m.key)), c.floor, c.floor_us," \
		     " EXISTS(SELECT 1 FROM msg x WHERE x.conv=c.id AND x.reply_id IS NOT NULL),"                 \
		     " EXISTS(SELECT 1 FROM msg x WHERE x.conv=c.id AND x.origin_id IS NOT NULL"                  \
		     " AND x.origin_id IS NOT x.xmpp_id), (SELECT key FROM msg WHERE id=c.last_msg)"              \
		     " FROM conv c LEFT JOIN msg m ON m.id=c.read_msg WHERE c.account=?1 AND c.jid=?2")           \
	S(CONV_ADD, "INSERT INTO conv(account, jid, kind, mod) VALUES(?1,?2,?3,0)")                                \
	S(CONV_KIND, "UPDATE conv SET kind=?1, mod=?2 WHERE id=?3")                                                \
	S(CONV_STATE, "SELECT c.mod, c.last_msg, c.activity_us, c.unread, c.first_unread,"                         \
		      " max(ifnull(m.key, c.read_key), ifnull(c.read_key, m.key)), c.opened_us, c.jid"             \
		      " FROM conv c LEFT JOIN msg m ON m.id=c.read_msg WHERE c.id=?1")                             \
	S(CONV_LAST, "SELECT id, time_us, mod FROM msg WHERE conv=?1 ORDER BY key DESC, id DESC LIMIT 1")          \
	S(CONV_READ, "UPDATE conv SET read_msg=?1 WHERE id=?2 AND (SELECT key FROM msg WHERE id=?1) >"             \
		     " coalesce((SELECT key FROM msg WHERE id=conv.read_msg), -9223372036854775807)"               \
		     " AND (SELECT key FROM msg WHERE id=?1) > coalesce(read_key, -9223372036854775807)")          \
	S(CONV_READ_KEY, "UPDATE conv SET read_key=max(coalesce(read_key, ?2), ?2) WHERE id=?1")                   \
	S(CONV_SHOWN, "SELECT last_msg, opened_us FROM conv WHERE id=?1")                                          \
	S(CONV_OPEN, "UPDATE conv SET opened_us=?2, activity_us=?2, mod=?3 WHERE id=?1")                           \
	S(CONV_SET, "UPDATE conv SET pinned=coalesce(?2, pinned), archived=coalesce(?3, archived),"                \
		    " muted_us=coalesce(?4, muted_us), draft=CASE ?5 WHEN 1 THEN ?6 ELSE draft END WHERE id=?1"    \
		    " AND (pinned, archived, muted_us, draft) IS NOT (coalesce(?2, pinned), coalesce(?3, archived)," \
		    " coalesce(?4, muted_us), CASE ?5 WHEN 1 THEN ?6 ELSE draft END)")                             \
	S(CONV_HAS, "SELECT id FROM msg WHERE conv=?1 AND id=?2")                                                  \
	S(CONV_FORGET, "UPDATE conv SET pinned=0, archived=0, muted_us=0, draft=NULL, opened_us=0,"                \
		       " floor=coalesce((SELECT key FROM aid WHERE archive=?2 AND placed=1 ORDER BY key DESC LIMIT 1), floor)," \
		       " floor_us=coalesce((SELECT time_us FROM msg WHERE conv=?1 AND clock=2 ORDER BY key DESC LIMIT 1)," \
		       " floor_us), purging=(SELECT coalesce(max(id), 0) FROM msg) WHERE id=?1")                   \
	S(CONV_SEEN, "UPDATE conv SET seen=?2 WHERE id=?1 AND (SELECT key FROM msg WHERE id=?2) >"                 \
		     " coalesce((SELECT key FROM msg WHERE id=conv.seen), -9223372036854775807)")                  \
	S(CONV_TOLD_MORE, "UPDATE conv SET told=?2 WHERE id=?1 AND (SELECT key FROM msg WHERE id=?2) >"            \
			  " coalesce((SELECT key FROM msg WHERE id=conv.told), -9223372036854775807)")             \
	S(CONV_OLDEST, "SELECT c.id, c.flags, (SELECT min(key) FROM msg WHERE conv=c.id) FROM conv c"              \
		       " WHERE c.account=?1 AND c.last_msg>0")                                                     \
	S(CONV_FLAGS, "UPDATE conv SET flags=?2, mod=?3 WHERE id=?1")                                              \
	/* gone.c */                                                                                               \
	S(GONE_ADD, "INSERT INTO gone(account, conv, xmpp_id, origin_id, direction, time_us, clock, hash, ours,"   \
		    " archived) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)")                                           \
	S(GONE_TRIM, "DELETE FROM gone WHERE account=?1 AND id<=(SELECT max(id) FROM gone)-?2")                    \
	S(GONE_PENDING, "DELETE FROM pending_ref WHERE conv=?1 AND target IN (?2, ?3)")                            \
	S(GONE_AIDS, "UPDATE aid SET msg=NULL WHERE msg=?1")                                                       \
	S(GONE_ROW, "DELETE FROM msg WHERE id=?1")                                                                 \
	S(GONE_CONV, "UPDATE conv SET read_key=CASE read_msg WHEN ?2 THEN max(coalesce(read_key, ?3), ?3)"         \
		     " ELSE read_key END, marked=CASE marked WHEN ?2 THEN " SQL_MESSAGE_BEFORE " ELSE marked END," \
		     " told=CASE told WHEN ?2 THEN " SQL_MESSAGE_BEFORE " ELSE told END,"                          \
		     " seen=CASE seen WHEN ?2 THEN " SQL_MESSAGE_BEFORE " ELSE seen END"                           \
		     " WHERE id=?1 AND ?2 IN (read_msg, marked, told, seen)")                                      \
	S(GONE_ACCOUNT, "UPDATE account SET first_key=?3 WHERE id=?1 AND first_msg=?2")                            \
	S(GONE_LIST, "SELECT m.id FROM msg m WHERE m.conv=?1 AND m.id<=(SELECT purging FROM conv WHERE id=?1)"     \
		     " ORDER BY m.key DESC, m.id DESC LIMIT ?2")                                                   \
	S(GONE_DONE, "UPDATE conv SET purging=0 WHERE id=?1 AND purging>=?2 AND ?3=0")                             \
	S(GONE_PURGING, "SELECT id, account FROM conv WHERE purging>0 LIMIT 1")                                    \
	S(GONE_BY_ID, "SELECT " SQL_GONE_COLUMNS " FROM gone WHERE conv=?1 AND xmpp_id=?2 AND xmpp_id IS NOT NULL" \
		      " AND direction=?4 ORDER BY id DESC LIMIT ?3")                                               \
	S(GONE_BY_ORIGIN, "SELECT " SQL_GONE_COLUMNS " FROM gone WHERE conv=?1 AND origin_id=?2"                   \
			  " AND origin_id IS NOT NULL AND origin_id IS NOT xmpp_id AND direction=?4"               \
			  " ORDER BY id DESC LIMIT ?3")                                                            \
	S(GONE_ARCHIVED, "UPDATE gone SET archived=1 WHERE id=?1 AND ?2=0 AND ?3=0")                               \
	S(GONE_NAMED, "SELECT EXISTS(SELECT 1 FROM gone WHERE conv=?1 AND xmpp_id=?2 AND xmpp_id IS NOT NULL)"     \
		      " OR EXISTS(SELECT 1 FROM gone WHERE conv=?1 AND origin_id=?2 AND origin_id IS NOT NULL"     \
		      " AND origin_id IS NOT xmpp_id)")                                                            \
	S(CONV_PUT, "UPDATE conv SET last_msg=?1, activity_us=?2, unread=?3, first_unread=?4, mod=?5 WHERE id=?6") \
	S(CONV_GREW, "UPDATE conv SET last_msg=?1, activity_us=?2, unread=0, first_unread=0, mod=?3 WHERE id=?4"   \
		     " AND last_msg>0")                                                                            \
	S(CONV_TOUCH, "UPDATE conv SET mod=?1 WHERE id=?2")                                                        \
	S(UNREAD_ANY, "SELECT 1 FROM msg WHERE conv=?1 AND state=0 LIMIT 1")                                       \
	S(UNREAD_BELOW, "SELECT id FROM msg WHERE conv=?1 AND state=0 AND key<=?2 ORDER BY key DESC LIMIT ?3")     \
	S(UNREAD_LAST, "SELECT id FROM msg WHERE conv=?1 AND state=0 AND key<?2 ORDER BY key DESC LIMIT 1")        \
	S(UNREAD_COUNT, "SELECT count(*) FROM (SELECT 1 FROM msg WHERE conv=?1 AND state=0 AND key>?2 LIMIT ?3)")  \
	S(UNREAD_FIRST, "SELECT id FROM msg WHERE conv=?1 AND state=0 AND key>?2 ORDER BY key, id LIMIT 1")        \
	/* read from conv_now alone, which holds all of it */                                                      \
	S(CONV_ORDER, "SELECT id, pinned, activity_us FROM conv INDEXED BY conv_now WHERE account=?1"              \
		      " AND (pinned, activity_us, id) < (?2, ?3, ?4)"                                              \
		      " ORDER BY pinned DESC, activity_us DESC, id DESC LIMIT ?5")                                 \
	S(CONV_LISTED, "SELECT " SQL_CONV_COLUMNS " WHERE c.id=?1 AND " SQL_CONV_VISIBLE " AND c.unread>=?2"       \
		       " AND (?3 IS NULL OR c.archived=?3) AND (?4 IS NULL OR c.kind=?4)"                          \
		       " AND (?5 IS NULL OR instr(c.jid, ?5) OR instr(lower(coalesce(r.name, '')), ?5))")          \
	S(CONV_ONE, "SELECT " SQL_CONV_COLUMNS " WHERE c.account=?1 AND c.jid=?2 AND " SQL_CONV_VISIBLE)           \
	S(CONV_CHANGED, "SELECT " SQL_CONV_COLUMNS " WHERE c.account=?1 AND c.mod>?2 AND " SQL_CONV_VISIBLE        \
			" ORDER BY c.mod LIMIT ?3")                                                                \
	/* read-row.c, history.c, changes.c */                                                                     \
	S(READ_ONE, "SELECT " SQL_MESSAGE_COLUMNS " FROM msg m JOIN conv c ON c.id=m.conv"                         \
		    " WHERE m.id=?1 AND m.account=?2")                                                             \
	S(READ_CHANGED, "SELECT " SQL_MESSAGE_COLUMNS " FROM msg m JOIN conv c ON c.id=m.conv"                     \
			" WHERE m.account=?1 AND m.mod>?2 ORDER BY m.mod LIMIT ?3")                                \
	/* walk.c */                                                                                               \
	S(READ_LAST_ID, "SELECT max(id) FROM msg")                                                                 \
	S(READ_CHANGED_IDS, "SELECT id, mod FROM msg WHERE account=?1 AND mod>?2 ORDER BY mod LIMIT ?3")           \
	S(READ_KEY, "SELECT m.key, m.conv, " SQL_MESSAGE_SIZE " FROM msg m WHERE m.account=?1 AND m.id=?2")        \
	S(CONV_OLDER, "SELECT m.id, m.key, " SQL_MESSAGE_SIZE " FROM msg m WHERE m.conv=?1"                        \
		      " AND (m.key, m.id) < (?2, ?3) ORDER BY m.key DESC, m.id DESC LIMIT ?4")                     \
	S(CONV_NEWER, "SELECT m.id, m.key, " SQL_MESSAGE_SIZE " FROM msg m WHERE m.conv=?1"                        \
		      " AND (m.key, m.id) > (?2, ?3) ORDER BY m.key, m.id LIMIT ?4")                               \
	S(ACCOUNT_OLDER, "SELECT m.id, m.key, " SQL_MESSAGE_SIZE " FROM msg m WHERE m.account=?1"                  \
			 " AND (m.key, m.id) < (?2, ?3) ORDER BY m.key DESC, m.id DESC LIMIT ?4")                  \
	S(ACCOUNT_NEWER, "SELECT m.id, m.key, " SQL_MESSAGE_SIZE " FROM msg m WHERE m.account=?1"                  \
			 " AND (m.key, m.id) > (?2, ?3) ORDER BY m.key, m.id LIMIT ?4")                            \
	S(ACCOUNT_UNREAD, "SELECT m.id, m.key FROM conv c JOIN msg m ON m.id=c.first_unread WHERE c.account=?1"    \
			  " AND c.unread>0 ORDER BY m.key LIMIT 1")                                                \
	S(CONV_UNREAD, "SELECT m.id, m.key FROM conv c JOIN msg m ON m.id=c.first_unread WHERE c.id=?1")           \
	S(FIND_STANZA, "SELECT m.id FROM archive v JOIN aid a ON a.archive=v.id JOIN msg m ON m.id=a.msg"          \
		       " WHERE v.account=?1 AND a.id=?2 AND m.conv=?3 LIMIT 1")                                    \
	/* index.c */                                                                                              \
	S(INDEX_STATE, "SELECT upto, tokenizer, edits, erasing, erased, clearing FROM fts_state")                  \
	S(INDEX_WAITS, "SELECT EXISTS(SELECT 1 FROM fts_dirty)")                                                   \
	/* index-repair.c: do the messages read that the index would take in next? */                              \
	S(INDEX_PROBE_NEXT, "SELECT sum(length(body)) FROM (SELECT body FROM msg WHERE id>?1 ORDER BY id LIMIT ?2)") \
	S(INDEX_PROBE_DIRTY, "SELECT sum(length(body)) FROM fts_dirty")                                            \
	S(INDEX_PROBE_CHANGED, "SELECT sum(length(m.body)) FROM fts_dirty d JOIN msg m ON m.id=d.id")              \
	S(INDEX_SAMPLE, "SELECT id, body FROM msg WHERE id<=?1 AND body IS NOT NULL"                               \
			" AND id NOT IN (SELECT id FROM fts_dirty) ORDER BY id DESC LIMIT 1")                      \
	S(INDEX_HAS, "SELECT 1 FROM fts WHERE fts MATCH ?1 AND rowid=?2")                                          \
	S(INDEX_BATCH, "SELECT id, length(CAST(body AS BLOB)) FROM msg WHERE id>?1 ORDER BY id LIMIT ?2")          \
	S(INDEX_ADD, "INSERT INTO fts(rowid, body) SELECT id, body FROM msg WHERE id>?1 AND id<=?2"                \
		     " AND body IS NOT NULL ORDER BY id")                                                          \
	S(INDEX_DIRTY, "SELECT d.id, ifnull(length(CAST(d.body AS BLOB)), 0) + ifnull(length(CAST(m.body AS BLOB)), 0)" \
		       " FROM fts_dirty d LEFT JOIN msg m ON m.id=d.id WHERE d.id>?1 ORDER BY d.id LIMIT ?2")      \
	S(INDEX_DELETE, "INSERT INTO fts(fts, rowid, body) SELECT 'delete', id, body FROM fts_dirty WHERE id<=?1"  \
			" AND body IS NOT NULL ORDER BY id")                                                       \
	S(INDEX_INSERT, "INSERT INTO fts(rowid, body) SELECT m.id, m.body FROM fts_dirty d JOIN msg m ON m.id=d.id" \
			" WHERE d.id<=?1 AND m.body IS NOT NULL ORDER BY d.id")                                    \
	S(INDEX_CLEAN, "DELETE FROM fts_dirty WHERE id<=?1")                                                       \
	S(INDEX_EDITED, "UPDATE fts_state SET edits=edits+1")                                                      \
	S(INDEX_UPTO, "UPDATE fts_state SET upto=?1")                                                              \
	S(INDEX_MERGE, "INSERT INTO fts(fts, rank) VALUES('merge', ?1)")                                           \
	S(INDEX_ERASING, "UPDATE fts_state SET erasing=edits")                                                     \
	S(INDEX_ERASED, "UPDATE fts_state SET erased=erasing")                                                     \
	S(INDEX_FORGET, "UPDATE fts_state SET upto=0, clearing=1, edits=edits+1, erasing=edits+1, tokenizer=?1")    \
	S(INDEX_CLEARED, "UPDATE fts_state SET clearing=0, erased=erasing")                                        \
	/* search.c: newest first */                                                                               \
	S(SEARCH_TERMS, "SELECT term FROM fts_term WHERE term>=?1 ORDER BY term LIMIT 1")                          \
	S(SEARCH_INDEX, "SELECT rowid FROM fts WHERE fts MATCH ?1 AND rowid BETWEEN ?2 AND ?3 ORDER BY rowid DESC") \
	S(SEARCH_DIRTY, "SELECT id FROM fts_dirty WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC")                    \
	S(SEARCH_ROW, "SELECT " SQL_FOUND_COLUMNS " FROM msg m WHERE m.id=?1")                                     \
	S(SEARCH_TAIL, "SELECT " SQL_FOUND_COLUMNS " FROM msg m WHERE m.id BETWEEN ?1 AND ?2 ORDER BY m.id DESC")  \
	S(SEARCH_CONV, "SELECT " SQL_FOUND_COLUMNS " FROM msg m WHERE m.conv=?1 AND (m.key, m.id) < (?2, ?3)"      \
		       " ORDER BY m.key DESC, m.id DESC")                                                          \
	S(SEARCH_ACCOUNT, "SELECT " SQL_FOUND_COLUMNS " FROM msg m WHERE m.account=?1 AND (m.key, m.id) < (?2, ?3)" \
			  " ORDER BY m.key DESC, m.id DESC")                                                       \
	S(SEARCH_TOP, "SELECT max(id) FROM msg")                                                                   \
	S(SEARCH_KEY, "SELECT key FROM msg WHERE account=?1 AND id=?2")
