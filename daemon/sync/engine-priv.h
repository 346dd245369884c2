/*
 * The engine's inside, shared by its files, with a section for each of them: docs/ARCHITECTURE.md, daemon/sync, says what is
 * in which. Nobody else includes this, but for the simulator in tests/engine.
 */
#pragma once

#include "core/ackline.h"
#include "core/backoff.h"
#include "core/cover.h"
#include "core/duel.h"
#include "core/flight.h"
#include "core/lanes.h"
#include "core/plan.h"
#include "core/recheck.h"
#include "core/verify.h"
#include "store/archive.h"
#include "store/login.h"
#include "store/outbox.h"
#include "store/push.h"
#include "sync/engine.h"
#include "sync/query.h"

#define COMMIT_DELAY_US (INT64_C(50) * 1000) /* group commit: nobody sees 50 ms, an fsync costs 5 to 20 on eMMC */
#define LAZY_COMMIT_US (INT64_C(5) * 1000000) /* stanzas without effect (presence, answers): only h moves */
#define LAZY_BATCH 100
#define COMMIT_BATCH 50			     /* or so many stanzas; facts/db.md section 3: p99 grows beyond */
#define PENDING_MAX 4096		     /* live records in memory while the store refuses; the wire stops at 2000 */
#define TOLD_AT_ONCE 5000		     /* reading states in memory: a tenth of a second to store */
#define ROSTER_MAX 50000		     /* items in memory at once; the wire passes at most 2 MB of roster */
#define ROSTER_BYTES_MAX (8u << 20)	     /* of them: the wire's limit is a quarter of it, but a wire can be taken over */
#define STORE_RETRY_US (INT64_C(5) * 1000000) /* a full disk is looked at again this often */
#define QUERY_DEADLINE_US (INT64_C(60) * 1000000) /* a page on 2G: 250 messages of 1 kB at 40 kbit/s take 50 s */
#define SYNC_RETRY_US (INT64_C(30) * 1000000) /* first wait after an archive error; doubles to ten minutes */
#define SYNC_RETRY_CAP_US (INT64_C(600) * 1000000)
#define STALLS_MAX 2			      /* answers without progress before giving up for a while (A14) */
#define PROVE_EVERY 100 /* live messages until a page proves them: one question more, and a new session re-reads few */
#define GRANT_STEP 1000			      /* outbound numbers reserved at a time */
#define PENDING_BYTES_MAX (16u << 20)	      /* live records in memory while the store refuses; the server keeps the rest */
#define PAGE_BYTES_MAX (32u << 20)	      /* pages in memory; 250 ordinary messages are 300 kB */
#define NEWEST_PAGE 50	   /* messages: a screen of the newest, without waiting for more */
/*
 * Messages asked for and not stored, so not acknowledged: Prosody keeps 500 stanzas for a session
 * (smacks_max_queue_size) and cannot resume one that has more; the rest is for what arrives live. And what it keeps
 * slows it down.
 */
#define ROOM 450
/* But so many a page, even if that is more with many lanes: smaller ones cost the server a question each (16 x 50 = 800, below
 * the 2000 stanzas that the wire takes in uncommitted). Until a session with more than ROOM was not resumed. */
#define LANES_PAGE 50
#define LANES_NARROW (ROOM / LANES_PAGE)
#define SLICE_US (INT64_C(10) * 1000)	      /* a page is stored in slices of so long: a call of an app waits for one */
/*
 * While no app has asked for messages for so long a slice is so much longer: what a commit costs hardly depends on how
 * much is in it. The first call after a pause may wait for one of these.
 */
#define SLICE_ALONE 5
#define SLICE_ALONE_AFTER_US (INT64_C(2) * 1000000)
#define SLICE_FIRST 50			      /* messages, as long as nothing is measured */
#define SLICE_LEAST 25			      /* messages; less makes the fsync the whole cost */
#define TOGETHER_MAX 16			      /* pages in a transaction: a slice of pages of 15 and more */
#define PUT_OFF_MAX 16			      /* turns of the loop, a batch of the link each */
#define FLUSH_SLICES_MAX 8		      /* of pages that are whole, when the stream ends: tens of ms */
#define ASIDE_PAGE 50			      /* messages: stored at once, in some 10 ms */
#define ERRANDS_QUICK 4			      /* pages of ASIDE_PAGE at a time where a round trip is below LANES_QUICK_US */
#define SCREENS_MAX 100			      /* conversations that get their first screen before all else, in a session */
#define SCREENS_GAP 300			      /* messages that a gap seems to hold, so that its pages would be waited for */
#define SHORT_STREAMS_MAX 5 /* a page is halved for each: 250 messages become PAGE_LEAST */
#define PAGE_LEAST 10			      /* messages; 10 of the largest fit into PAGE_BYTES_MAX ten times */
#define PAGE_ITEMS_MAX 1000		      /* a server that sends more than was asked for is cut off */

enum engine_state { ENGINE_OFF, ENGINE_WAIT, ENGINE_DIAL, ENGINE_AUTH, ENGINE_BIND, ENGINE_ONLINE, ENGINE_REFUSED, ENGINE_STATES };

/* A roster item as received, owned. */
struct roster_entry {
	uint32_t n;
	char *jid, *name, *subscription, *groups;
	bool ask, reset, last;
};

/* A push service, and what the server is asked about it on this stream. */
struct pushed {
	struct push row;  /* as stored; but for the reason, and for what is asked once more */
	uint32_t request; /* unanswered; 0 = none */
	bool asked;
};

struct engine {
	struct store *store;
	struct account account;
	struct engine_policy policy;
	const struct engine_io *io;
	void *userdata;

	/* connection: engine.c */
	enum engine_state state;
	bool wire;	    /* a wire is running */
	bool stopping;	    /* told it to stop: its end is no failure */
	uint32_t phase;	    /* enum link_phase_id: how far the wire has come */
	struct backoff backoff;
	bool slow;	    /* the next wait is the long one: a person has to act */
	bool yielded;	    /* another client took our place: no trigger takes it back */
	bool no_route;	    /* nothing leads out of this machine */
	bool unreachable;   /* the last try failed for want of a way to the server */
	int64_t retry_real_us;
	char *reason_name, *reason_text;
	char *address, *mechanism;
	bool resumed;
	bool resending;	    /* what the server had kept for the resumed session is still coming in */
	struct login login; /* as committed: engine-login.c */
	bool tried_offer, tried_token, tried_address; /* START had one */
	bool again;	    /* the next try is at once: what was guessed is forgotten */
	int64_t ping_us;    /* engine_set_ping() */
	int64_t word_us;    /* boot clock: the last word of the wire that TIMER_WORD was set by */
	struct duel duel;   /* with it a second wire runs or not: engine-second.c */
	uint32_t probe;	    /* the number of the last PROBE to this wire; 0 = none */
	uint32_t second_phase; /* enum link_phase_id: how far the second has come */

	/* session and durability: commit.c and its like */
	struct session session; /* as committed, but for what the next commit changes */
	struct ackline line;	/* what is durable; line.h is told to the wire only once the row says so */
	bool counted;		/* this stream has stream management */
	struct message **pending; /* live records since the last commit, owned copies */
	size_t n_pending, cap_pending;
	size_t pending_bytes;
	struct roster_entry *roster; /* since the last commit */
	size_t n_roster, cap_roster, roster_bytes;
	bool roster_open;	/* a full roster is being received: it is stored whole, or not at all */
	bool dirty;		/* the session row has to be written */
	bool grant_due;		/* the wire has asked for numbers, */
	uint32_t grant_next;	/* up to here: with the row that says so it is told */
	unsigned int skipped;	/* numbers without effect since the last commit */
	int commit_armed;	/* 0 no, 1 lazily, 2 soon */
	bool store_failing;
	int64_t online_since_us; /* boot clock; 0 = not */
	int64_t heard_us;	 /* boot clock: when the wire last had something of the server */
	uint64_t messages;

	/* the outbox: sending.c */
	struct flight flight;
	int64_t number_due_us; /* TIMER_NUMBER */
	bool look;		/* something may wait to be offered */
	int64_t end_unknown_us;	/* boot clock: since then it is asked where the archive ends, if cover is not live */
	bool doubt;		/* something may be in doubt */
	int64_t doubt_wait_us;	/* boot clock: the archive's word counts when it was asked after that */
	bool doubt_asked;	/* it was */
	bool probed;		/* the stream was asked before a suspect goes */
	uint32_t doubt_left;	/* items that were in doubt when it was asked before */
	bool ack_due;		/* h_out has moved over items that are not stored as done */
	struct unsendable *unsendable; /* not stored yet */
	size_t n_unsendable;
	bool active;		/* somebody looks (XEP-0352) */
	/* block list, reading states and requests to see our presence, since the last commit: owed.c */
	struct told *told;
	size_t n_told, cap_told, told_bytes;
	bool blocked_open;	/* a full block list is being received */
	uint32_t next_request;

	/* push.c */
	struct pushed *pushes;	/* those that go first */
	size_t n_pushes;
	bool push_untold;	/* the server did not say whether it knows of push services */

	/* the archive: catchup.c, asking.c, answers.c, pages.c */
	int64_t archive;	/* rowid of the account's own archive */
	struct cover cover;	/* as committed */
	bool ready;
	struct query *asked;	/* questions on their way */
	struct query *whole;	/* answers, being stored in the order they came */
	struct query *aside;	/* on their way, beside the plan: aside.c */
	struct errand *errands; /* errand.c; oldest first */
	uint32_t next_errand;
	int64_t deeper_us;	/* wanted below the horizon, down to here; 0 = not */
	int64_t screens_us;	/* boot clock: until then first screens go before the plan */
	int64_t screens_due_us; /* boot clock, on a quick link: until then the plan goes alone; 0 = not yet thought of */
	bool screens_began, screens_looked; /* in this session it was looked which conversations have less than a screen */
	char *screened[SCREENS_MAX]; /* which had; owned */
	size_t n_screened;
	struct verify *verify;	/* what was asked for last, also when it has ended; NULL = nothing */
	struct recheck recheck;	/* since_us as committed */
	struct verify *settling;	/* looking again at what was not settled; NULL = not now */
	size_t page_bytes;	/* in all three */
	uint32_t next_query;
	struct lanes lanes;
	size_t slice;		/* messages to store at a time */
	unsigned int singly;	/* so many pages are stored one by one */
	uint32_t items_came, items_seen; /* of answers; when it was last decided whether to store what is here */
	unsigned int put_off;	/* turns of the loop that storing was put off for more of them */
	bool metadata_known;
	unsigned int unproven;	/* live messages claimed since the archive was last asked */
	int64_t unproven_item, proven_item; /* outbox_unproven() at READY, and for which of them the archive was asked */
	unsigned int bounces, bounces_asked, bounces_known; /* errors that came back, when the archive was asked for its end,
							     * and when all of it was held: outbox_bounces_known() */
	int64_t meta_start_us, meta_end_us;
	char *end_seen;		/* the archive's newest id when there was no run; owned, NULL = none (cover_places_run()) */
	char *by_time_id;	/* the boundary that the archive does not know: first id of the span above; NULL = none */
	char *time_cursor;	/* by_time_id: where the last page began; owned */
	char *floor_id;		/* the gap above this id was found empty up to floor_us; owned, NULL = none */
	int64_t floor_us;
	bool no_cuts;		/* a cut was refused on this stream */
	bool disordered;	/* an answer of this stream has come before that to an earlier question was whole */
	int64_t seen_us;	/* archive time that pages spanned lately, and their messages: how dense it is */
	uint64_t seen_n;
	uint32_t page_max;	/* policy's, or less when messages are big or streams short */
	bool narrow;		    /* a session with more than ROOM messages unacknowledged was not resumed: no more of that */
	uint32_t unacknowledged;    /* messages asked for and not stored when the last stream ended */
	unsigned int short_streams; /* in a row that ended within a page, up to SHORT_STREAMS_MAX; fewer with each whole page */
	uint32_t page_given;	/* messages in the last full page: the server may give fewer than was asked for */
	uint32_t page_less;  /* ... if that was less than it was asked for; 0 = it was not */
	unsigned int stalls, window_pages, barren_pages;
	unsigned int vain;	/* runs that were forgotten since vain_us, on the boot clock */
	int64_t vain_us;
	int64_t sync_wait_us;	/* 0 = no error */
	int64_t barren_us;	/* boot time since when the archive gives nothing, also in earlier streams; 0 = it does */
	bool sync_error;
	bool another;		/* an id of the archive is known as another message: renew.c */
	int64_t another_key;	/* where the newest such message stands */
	int64_t renewed_us;	/* boot clock: since then the archive was taken for another one so many times */
	unsigned int renewals;
	bool stream_caught_up; /* this stream was in sync once */
	int64_t whole_us;	/* real time up to which a stream was in sync; session.caught_up_us is when one began to be */
	bool was_whole;		/* and it was the last one */
	bool paused;
	bool metered;
};

/* engine.c */
void engine_arm(struct engine *e, enum engine_timer which, int64_t delay_us); /* < 0: off */
/* Change state, if the table of allowed moves has it; logs and tells. */
void engine_enter(struct engine *e, enum engine_state next);
/* Stop everything that belongs to the stream. The wire must be gone or killed. */
void engine_stream_over(struct engine *e);
/* The wire last heard the server ${silence_us} ago. */
void engine_heard(struct engine *e, int64_t silence_us);
/* Kill the wire, if there is one; its state is the caller's to leave. */
void engine_hang_up(struct engine *e);
void engine_set_reason(struct engine *e, const char *name, const char *text);
void engine_drop_wire(struct engine *e); /* kill it and go to WAIT as if it had gone */

/* The stream that ends was up for so long that the server, or the way to it, is not to blame: back-off starts anew. */
bool engine_was_stable(const struct engine *e);
/* START for a wire; ${hold}: a second one. The strings stay the engine's. */
void engine_fill_start(struct engine *e, bool hold, struct link_start *ret);

/* engine-second.c */
/* The stream is to show within ${answer_ms} that it is alive; ${ask}: it has to be asked. Meanwhile a second gets ready. */
void second_trigger(struct engine *e, uint32_t answer_ms, bool ask);
/* PROBE with the next number: each has one, or ALIVE would say nothing. As io->send(). */
int second_probe(struct engine *e, uint32_t answer_ms);
/* The stream has answered PROBE number ${probe}. */
void second_answered(struct engine *e, uint32_t probe);
/* TIMER_DUEL */
void second_look(struct engine *e);
/* The wire is gone, its stream over. True: the second is the wire now, and resumes. */
bool second_takes_over(struct engine *e);
/* There is nothing to take over: end it, if there is one. */
void second_drop(struct engine *e);

/* engine-trigger.c */
/* The wire has said something; what it says soon after each other counts once. */
void trigger_word(struct engine *e);
/* TIMER_WORD */
void trigger_no_word(struct engine *e);

/* engine-login.c */
int login_begin(struct engine *e); /* read it */
/* START's part of it. ${start}'s strings stay the engine's. */
void login_start(struct engine *e, struct link_start *start);
void login_learned(struct engine *e, const struct link_login *l);
void login_token(struct engine *e, const struct link_token *t);
void login_ticket(struct engine *e, const struct link_ticket *t);
/* START is sent: its ticket is used up. */
void login_started(struct engine *e);
/* What START remembered did not help: the next try is at once if it will have less to remember, so not for ever. */
void login_guess_failed(struct engine *e);
/* The user changed something: as before the first login, but for the user agent. */
void login_reset(struct engine *e);

/* push.c: push services, for a session that is kept longer */
int push_begin(struct engine *e); /* read them */
void push_end(struct engine *e);
/* READY: ask what is to be asked. ${untold}: as it says. */
void push_ready(struct engine *e, bool untold);
/* RESULT. False: it is about something else. */
bool push_answered(struct engine *e, const struct link_result *a);
void push_stream_ends(struct engine *e);
/* In the transaction that ends a session; then, once that is durable. */
int push_put_session_lost(struct engine *e);
void push_put_session_lost_done(struct engine *e);
/* The account's settings changed, and are stored. */
void push_configured(struct engine *e);
/* The session is about to be closed for good: nothing is to be kept for it, and no service to be told of messages. */
void push_goodbye(struct engine *e);
void push_status(const struct engine *e, struct account_status *ret);

/* commit.c: what becomes durable, and when */
int commit_init(struct engine *e);
void commit_deinit(struct engine *e);
/* A live or carbon message; copies it. */
void commit_message(struct engine *e, const struct message *m);
/* Stanza n had no effect. */
void commit_skip(struct engine *e, uint32_t n);
/* The stream is gone: commit what can be committed, forget the rest; a resume or the archive brings it again. */
void commit_forget(struct engine *e);
/* The engine wants the session row written soon (a new grant ...). */
void commit_soon(struct engine *e);
/* Something waits for the next commit. ${urgency}: of commit_armed. */
void commit_arm(struct engine *e, int urgency);
/* Commit everything pending now. 0, or -errno with everything kept for a later try. */
int commit_now(struct engine *e);
/*
 * The last lines of every transaction: coverage (if not NULL), the session row with ${line}'s h, the commit, and only
 * then the news to the wire. On success ${line} and ${cover} are the engine's.
 */
int commit_finish(struct engine *e, const struct ackline *line, struct cover *cover);
/* GRANT, up to where the row says. */
void commit_tell_grant(struct engine *e);
/* A transaction failed: say so once, keep everything, try again later. Nothing was acknowledged. Returns r, traced. */
int commit_failed(struct engine *e, int r);
void commit_succeeded(struct engine *e);
/* The coverage changed without messages (metadata confirmed the end ...). */
int commit_cover(struct engine *e, struct cover *cover);
/* Same meaning as ackline_seen() on the committed line; kills the wire when the number is impossible. */
bool commit_repeated(struct engine *e, uint32_t n);

/* commit-roster.c: the roster as it comes in */
void commit_roster(struct engine *e, const struct link_roster *r);
/* There is something to be stored: a change, or a full roster that is here to its end. */
bool commit_roster_due(const struct engine *e);
/* In a transaction; ${line}: its numbers. Then, once that is durable, or the stream is gone, it is dropped. */
int commit_roster_put(struct engine *e, struct ackline *line);
void commit_roster_drop(struct engine *e);

/* commit-page.c: a page in one transaction with what it proves */
/*
 * The messages [from, n) of ${q}, the coverage that they prove and the session row, in one transaction. ${cover}
 * becomes the engine's when it succeeds (and is left empty). The numbers of these stanzas become durable, with from 0
 * that of the answer too. *ret_new_ids: archive ids that were not known. 0, -errno, or ARCHIVE_E_ANOTHER with nothing
 * stored: see renew_look().
 */
int commit_page(struct engine *e, struct query *q, size_t from, const char *below_id, const char *above_id,
		struct cover *cover, size_t *ret_new_ids);
/*
 * The same for ${n} pages that are whole and settled, all of them or none, in the order of the list: ${cover} is what they
 * prove together. 0. Else nothing happened, and each by itself, which is to be tried, shows what is wrong with which.
 */
struct placed_page {
	struct query *q;
	char *below_id, *above_id; /* owned by the list */
};
int commit_pages(struct engine *e, const struct placed_page *list, size_t n, struct cover *cover, size_t *ret_new_ids);
/*
 * ${page} of ${q}, whose messages from ${from} on it is, and the session row, in one transaction; no coverage. The
 * numbers of all its stanzas become durable. ${out}: one a message. 0; ARCHIVE_E_ANOTHER: nothing stored, an id that
 * the server gave twice has another name now, and ${q} is to be looked at again; -EAGAIN: nothing stored, the archive
 * is another one; -errno.
 */
int commit_aside(struct engine *e, struct query *q, size_t from, const struct archive_page *page,
		 struct put_outcome *out);

/* commit-session.c: the session row */
/* A new session begins or one was resumed: the row and the coverage flags change together. */
int commit_session_bound(struct engine *e, const struct link_online *o);
int commit_session_resumed(struct engine *e, const struct link_online *o);
/* The server does not have it any more; its h, if it gave one that makes sense, says what had arrived. */
int commit_session_refused(struct engine *e, const struct link_resume_refused *f);
/* The session is closed for good, or was refused. */
int commit_session_over(struct engine *e);

/* catchup.c: the archive, stream by stream */
/* ${round_trip_us}: of its login; 0 = not known. */
void catchup_stream_begins(struct engine *e, int64_t round_trip_us);
void catchup_stream_ends(struct engine *e);
/* Its session was not resumed. */
void catchup_session_refused(struct engine *e);
/* What live delivery claimed is to be proven: forget the run, ask from the last page on. */
void catchup_prove(struct engine *e);
/* Ask the next things, as many as may be asked; TIMER_ASK. */
void catchup_go(struct engine *e);
/* History has to wait from now on, or has waited. */
void catchup_waits(struct engine *e, bool waits);
/* Of the archive nothing is missing, asked for or waiting to be stored. */
bool catchup_holds_all(const struct engine *e);
/* The same, and what the server had kept for a resumed session is here too. */
bool catchup_done(const struct engine *e);
/* As catchup_holds_all(), but for what waits for a link that is not metered. */
bool catchup_idle(const struct engine *e);
/* The gap before this span is being fetched. */
bool catchup_fetching(const struct engine *e, const struct span *s);
/* Drop every question and every page that is not stored: their stanzas have no effect. */
void catchup_drop_all(struct engine *e);
/* The same for one, which is on no list. */
void catchup_discard(struct engine *e, struct query *q);
/* Leave the archive alone for a while; ${why} is for the user. */
void catchup_give_up(struct engine *e, const char *why);
/*
 * A run that came live is to be forgotten, because the archive does not say where it belongs: once is chance. True: too
 * often, the archive is left alone.
 */
bool catchup_run_in_vain(struct engine *e);
/* What is known of the server's archive beyond coverage is of another one. */
void catchup_forget(struct engine *e);

/* asking.c: the next question of the plan */
/* As many as may leave now; TIMER_ASK is armed for the next. */
void asking_go(struct engine *e);
/* The plan has nothing more; ${at_all}: nor would it if the link were not metered. */
bool asking_is_done(const struct engine *e, bool at_all);
/* ${q} has begun to come: its lane may ask for the page below it. */
bool asking_is_ahead(const struct engine *e, const struct query *q);
/* ${q} goes to the server, ${max} messages at most; its deadline begins. */
void asking_send(struct engine *e, struct query *q, uint32_t max);
/* TIMER_QUERY, for the question that is due first. */
void asking_arm_deadline(struct engine *e);
/* Messages that are asked for, or have come, and are not stored: the server keeps them for the session. */
uint32_t asking_unacknowledged(const struct engine *e);
/* Messages of a page: the policy's, or fewer where streams end within one. */
uint32_t asking_page(const struct engine *e);
/* The boundary that the archive did not know is known, or is not one any more: ask by ids again. */
void asking_forget_bounds(struct engine *e);

/* answers.c: what comes of a question */
void answers_item(struct engine *e, const struct message *m);
void answers_fin(struct engine *e, const struct link_fin *f);
void answers_meta(struct engine *e, const struct link_meta *m);
void answers_failed(struct engine *e, const struct link_query_failed *f);
/* TIMER_QUERY: no answer in time. */
void answers_late(struct engine *e);
/* An answer moved nothing: ask once more in another way, then leave the archive alone for a while (A14). Takes ${q},
 * which is on no list. */
void answers_stalled(struct engine *e, struct query *q);

/* A user's verifying is at work. */
bool engine_is_verifying(const struct engine *e);

/* recheck.c: what the server said is not settled */
int recheck_begin(struct engine *e); /* read it; for the archive that is the account's now */
void recheck_stream_begins(struct engine *e);
/* In the transaction that stores ${q}: *next is e->recheck after it. Then, once that is durable. */
int recheck_put(struct engine *e, const struct query *q, struct recheck *next);
void recheck_put_done(struct engine *e, const struct recheck *next);
/* TIMER_RECHECK */
void recheck_look(struct engine *e);
/* The walk is over, or met what is not settled yet. */
void recheck_ended(struct engine *e, bool settled);
/* Give the walk up; it will begin anew when it is due. */
void recheck_forget(struct engine *e);
/* The archive is another one. */
void recheck_renewed(struct engine *e);

/* renew.c */
/*
 * ARCHIVE_E_ANOTHER, ${out} says it of the messages of ${q} from ${from} on: is it another archive (e->another: then
 * renew_archive())? Else the server gave an id twice, the second message gets one of its own, and ${q} is to be stored
 * again; views of its ids end.
 */
void renew_look(struct engine *e, struct query *q, size_t from, const struct put_outcome *out);
/*
 * Message ${k} of ${q} is the one that its archive id is known as. False: it is not, and as above: e->another, or it
 * has an id of its own now.
 */
bool renew_meets(struct engine *e, struct query *q, size_t k);
/* The server has another archive now. Drops all questions and pages that are on their lists. */
void renew_archive(struct engine *e);
/* That happened so often within a day that it is not believed any more. */
bool renew_gave_up(const struct engine *e);

/* aside.c: questions to the archive beside the plan; none moves coverage */
/* Nothing more urgent is to be asked just now: ask what comes after it. */
void aside_go(struct engine *e);
/* The answer to this question is whole. */
void aside_page(struct engine *e, uint32_t id);
/* There is none to ${q}, which is on no list any more; takes it. */
void aside_failed(struct engine *e, struct query *q, bool unknown_id, const char *why);
void aside_stream_ends(struct engine *e);
/* The archive is another one: what was asked from its ids is asked by time, or from the beginning. */
void aside_renewed(struct engine *e);
void errand_renewed(struct engine *e);
void aside_deinit(struct engine *e);

/* errand.c: pages of one conversation that somebody waits for, or will look at first */
void errand_go(struct engine *e);
/* Which conversations have less than a screen, if it is time to look. */
void errand_look(struct engine *e);
/* First screens are on their way: the plan's pages would share the link with them. */
bool errand_first(const struct engine *e);
/* Somebody waits for a page of one conversation. */
bool errand_waits(const struct engine *e);
void errand_answer(struct engine *e, struct query *q);
void errand_failed(struct engine *e, struct query *q, bool unknown_id, const char *why);
/* A new session begins: look again what the first screens lack. */
void errand_session(struct engine *e);
void errand_deinit(struct engine *e);

/* sending.c: what waits, on its way to the server */
void sending_stream_begins(struct engine *e);
void sending_stream_ends(struct engine *e);
/* Offer what waits, if it may be offered now; TIMER_SEND. */
void sending_go(struct engine *e);
/* It may be that now something can be offered that could not be before. */
void sending_kick(struct engine *e);
/* The stream's session may be used: offers, and asks for the ids of what was sent on an earlier stream of it. */
void sending_ready(struct engine *e);
/* TIMER_NUMBER: the wire hangs. */
void sending_unnumbered(struct engine *e);
/* TIMER_PROVE: nothing was sent for a while: ask for the archive ids of what was. */
void sending_prove(struct engine *e);
void sending_numbered(struct engine *e, const struct link_numbered *m);
void sending_unsendable(struct engine *e, const struct link_unsendable *u);
void sending_acked(struct engine *e, uint32_t n);
/* Something of it has to be stored. */
bool sending_due(const struct engine *e);
/* In a transaction; then, once that is durable, GO. */
int sending_put(struct engine *e);
void sending_put_done(struct engine *e);
/* The states of items changed by themselves: look at them anew, and tell. */
void sending_items_changed(struct engine *e);
/* They changed with the session: some may be in doubt. */
void sending_session_changed(struct engine *e);
/* The stream failed: was it over what we sent? */
void sending_blame(struct engine *e, const struct link_failed *f);
void sending_deinit(struct engine *e);

/* doubt.c */
/* Coverage grew, or the archive does not answer: is it known by now what became of items in doubt? */
void doubt_look(struct engine *e);
void doubt_stream_begins(struct engine *e);

/* owed.c: what others are told of their messages, and what our other devices tell */
/*
 * In the transaction that stored ${m}, and ${out} came of it: does it get a receipt? At its first reception, as a message or
 * as the correction of one, and only while the answer means something.
 */
int owed_receipt(struct engine *e, const struct message *m, const struct put_outcome *out);
/* The page itself shows that another device of ours has told them. */
bool owed_answered(const struct engine *e, const struct query *q, const struct message *m);
/* The block list, or a change of it. */
void owed_blocked(struct engine *e, const struct link_blocked *b);
/* ${jid} asks to see our presence, or does not any more; ${n}: the stanza's number, or 0. */
void owed_asking(struct engine *e, const char *jid, bool asking, uint32_t n);
/* Another device has read so far. */
void owed_read(struct engine *e, const struct link_read *r);
bool owed_due(const struct engine *e);
/* In a transaction; ${line}: their numbers. Then, once that is durable. */
int owed_put(struct engine *e, struct ackline *line);
void owed_put_done(struct engine *e);
/* The stream is gone: what is not stored will be told again. */
void owed_forget(struct engine *e);
void owed_deinit(struct engine *e);

/* pages.c: pages that are whole become part of the archive */
/* Store the next slice of the oldest page; TIMER_STORE. */
void pages_store(struct engine *e);
/* The stream ends: store what is whole, as far as it does not take long. */
void pages_flush(struct engine *e);
/* What coverage will be when all whole pages are stored. False: one of them needs to be looked at first. */
bool pages_expected(const struct engine *e, struct cover *ret);
