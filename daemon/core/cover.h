/*
 * Coverage: what we hold of one server archive without a hole. The central data structure of varve.
 *
 * A cover is a list of disjoint spans in archive order. A span means: every message of that archive from its first id
 * to its last id is stored. What lies between two spans, and before the first one unless it is flagged SPAN_START, is a
 * gap. Archive ids are opaque and unordered (XEP-0313 section 4.1): spans are only ever joined by meeting the same id,
 * by a page that was asked for exactly there, or by one that overlaps what is held; never by comparing ids, and never by a
 * stamp, which is the word of a clock that may have stepped (decision 0036).
 *
 *     past gap        gap             gap
 *   ...........[=====]......[========]....[==) LIVE: live messages extend it
 *               span 0       span 1        span 2
 *
 * What live delivery alone says is no proof: carbons are the server's policy (XEP-0280 section 6), and nothing forces a
 * server to deliver in archive order. So live messages make a *run* of their own on top, which counts as held while
 * the session lasts and is forgotten with it; the archive is then asked again from the last page that proved
 * something. Their rows stay, of course, and are met again by id.
 *
 * Pure: no I/O, no clock. The engine changes a copy, stores it in the transaction that stores the messages which
 * prove it, and only then makes the copy its own. So coverage never says more than the archive holds.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/message.h"

/*
 * How far archive order and archive stamps may disagree: the stamps are the server's clock, which may step back (NTP
 * after a power cut); Dino uses five minutes since 2021. Whoever concludes a place from a stamp keeps this distance.
 */
#define COVER_MARGIN_US (INT64_C(300) * 1000000)

/* One end of a span or one message of a page: an archive id and the archive's stamp (us since the epoch). */
struct edge {
	char *id; /* owned; "" only in the span of an archive known to be empty */
	int64_t us; /* never later than the archive's own stamp of it; 0 = unknown */
};

enum span_flag {
	SPAN_START = 1, /* the server has nothing older than this span */
	SPAN_LIVE = 2,	/* newest span only: live messages extend it (this session saw everything since) */
	SPAN_LOST = 4,	/* the gap before this span can never be filled: the server no longer has it */
	SPAN_EMPTY = 8, /* no message yet: at first.us the archive was empty (A17) */
	SPAN_RUN = 16,	/* newest span only: messages delivered live, claimed for this session alone; see below */
	SPAN_NEXT = 32, /* a run that directly follows the span below it: no gap between them */
};

struct span {
	struct edge first;
	struct edge last;
	uint32_t flags;
};

struct cover {
	struct span *spans; /* owned, oldest first */
	size_t n;
	size_t cap;
};

/* One message of a page as coverage sees it; not owned. */
struct cover_item {
	const char *id;
	int64_t us; /* 0 = unknown */
};

/*
 * A page: a run of the archive without holes, oldest first. first_id/last_id of RSM are its ends when results had
 * no message inside; they must then be part of ${items}. One that was asked with a lower bound in time is without holes
 * only down to COVER_MARGIN_US above that bound, which is the end of the span below: further down, messages of a clock
 * that had stepped back are left out.
 */
struct cover_page {
	const struct cover_item *items;
	size_t n;
	int64_t start_us; /* the lower bound, 0 = none */
	/*
	 * It has no message that ${span} ends with, but a stamp that is below it: does it overlap what is held there? Because an id
	 * of it is known there, say. A stamp is the word of a clock that may have stepped back for hours. NULL: the stamp counts.
	 */
	bool (*overlaps)(const void *userdata, const struct cover_page *page, const struct span *span);
	/* ${id} is known to the archive that we hold, so as an answer to a cut it says nothing (sync/effect.c). NULL: none is. */
	bool (*is_held)(const void *userdata, const char *id);
	const void *userdata;
};

/* ${id} is one of the page's messages. */
bool cover_page_has(const struct cover_page *p, const char *id);

/*
 * Ids of an archive that the server does not have any more (it was emptied and began to use its ids again) keep their
 * spans, but are nobody's: they begin with this, which no XML can carry (XML 1.0 section 2.2), so they are met by no
 * page.
 */
#define COVER_OLD '\x1f'

enum gap_state { GAP_OPEN, GAP_LOST };

/* The hole before span ${span}. After/before are views into the cover, "" and 0 at the archive's beginning. */
struct gap {
	size_t span;
	const char *after_id;
	const char *before_id;
	int64_t after_us;
	int64_t before_us;
	enum gap_state state;
};

void cover_init(struct cover *c);
void cover_deinit(struct cover *c);
/* ${dst} becomes a deep copy of ${src}; its old content is freed. */
void cover_copy(struct cover *dst, const struct cover *src);
/* Append a span while loading from disk; the caller keeps its strings. */
void cover_load(struct cover *c, const char *first_id, int64_t first_us, const char *last_id, int64_t last_us,
		uint32_t flags);

/*
 * Is it known on which side of ${page}, the answer to "newest page", the run lies? A run that was opened while the
 * question was under way lies above what the page has not got of it, as a rule; but it may also lie below, when more
 * was archived behind it than a page holds, none of which came live (our own messages, those of other devices). It is
 * known when the page has an end of the run, or reaches below where the run begins: to the span below, to the archive's
 * beginning, or to ${seen_id}, which was the archive's newest at a moment when the run did not exist yet (NULL = none).
 * Without a run: true. When it is not known, nothing can be done with the page: forget the run, which is now older than
 * the next question.
 */
bool cover_places_run(const struct cover *c, const struct cover_page *page, bool complete, const char *seen_id);

/*
 * The answer to "newest page": ${page} ends where the archive ended; cover_places_run() must hold. ${complete}: it is
 * the whole archive. ${now_us} stamps an empty archive. Joins every span it meets (see above); otherwise a new span
 * stands there and with it a gap (A4). A run opened during the query stays above it, with a gap between unless they
 * overlap; without one the page's span is live. A complete page that does not reach down to where the first span begins
 * says that the past before that is lost. Returns the index of the span that holds the page.
 */
size_t cover_newest(struct cover *c, const struct cover_page *page, bool complete, int64_t now_us);

/*
 * The answer to "the page before span ${i}", asked with no lower bound, or by time and bounded by the previous span's last stamp
 * minus a margin. Extends span ${i} downwards, or stands as a proven span below it when ${i} is a run; joins the
 * previous span when met (see above). ${complete}: nothing older exists within what was asked. ${by_time}: it was
 * bounded by stamps instead of the span's first id, and may overlap the span (never for a run). Complete and by time below the
 * first span, without what that begins with or anything older: the server has dropped it, and the past with it, which is lost.
 * *ret_met: there is no gap left below the page's span, or none was there. Returns that span's index.
 */
size_t cover_before(struct cover *c, size_t i, const struct cover_page *page, bool complete, bool by_time,
		    bool *ret_met);

/*
 * Cut a gap: ${item}, one message from the middle of the archive, becomes a span of its own, so that both halves can
 * be fetched at the same time. A single message has no holes. Its stamp says which gap it is put into, and must keep
 * COVER_MARGIN_US from the spans on both sides (the archive's beginning has no stamp): whoever asked knows whether that
 * is right. Gaps that are lost, and those at a run, are not cut. Returns its index, or SIZE_MAX: it lies in no such gap,
 * nothing changed.
 */
size_t cover_cut(struct cover *c, const struct cover_item *item);

/*
 * The last answer for the gap before span ${i} was complete and did not meet the previous span: the server has
 * nothing between the two any more. ${archive_start_us}: the stamp of the oldest message that the server still has,
 * or 0 if unknown. When the server provably still reaches back to the previous span, they join (its last message was
 * deleted one by one); otherwise the gap is recorded as lost, for good (B1, B2).
 */
void cover_exhausted(struct cover *c, size_t i, int64_t archive_start_us);

/*
 * A live message with the archive's own verified id: extends the run, or opens one: next to the newest span if that
 * is live, else with a gap to be fetched. Never call it for a message that was already stored or that came delayed
 * (offline storage): it says nothing about its neighbours. Live messages carry no stamp of the archive's clock, so a
 * run has none: an edge's stamp is a lower bound of the truth, 0 = unknown.
 */
void cover_live(struct cover *c, const char *id);

/*
 * The archive's newest id (from metadata) is ${id}, stamped ${us} (0 = unknown): if it ends the newest span, that span
 * is live. True if so. An id with another stamp is another message's (B8).
 */
bool cover_confirm_end(struct cover *c, const char *id, int64_t us);
/* Metadata says the archive is empty: remember it on a cover without spans; keeps spans as they are (B8). */
void cover_confirm_empty(struct cover *c, int64_t now_us);

/* The session is gone, or proof is wanted: the run is forgotten, the newest end must be confirmed again. */
void cover_session_lost(struct cover *c);
/*
 * The server's archive is another one now, which may use the same ids for other messages. What was held is still held:
 * the first ${n} spans stay, their ids get ${mark} (which begins with COVER_OLD) in front, if they have none yet. What
 * lies between them, and below, the server may have still: it is asked by time (plan.h). Of which archive those above
 * are is not known: they go.
 */
void cover_set_old(struct cover *c, size_t n, const char *mark);
/* An id of an archive that is not there any more. */
bool cover_is_old(const char *id);
/*
 * The server gave ${id} to two messages: an id for the second one, of which ${hash} tells. Caller frees. The server is
 * asked by the id that it knows; if that leads to the other one, the answer leads nowhere, and it is asked by time.
 */
char *cover_twin_id(const char *id, uint64_t hash);
bool cover_is_twin(const char *id);
/* What the server calls it: "" instead of an id of an archive that is not there any more. */
const char *cover_shown_id(const char *id);
/* The newest span is live: nothing newer can be missing. */
bool cover_is_live(const struct cover *c);

/* Number of gaps, the past included. */
size_t cover_count_gaps(const struct cover *c, bool lost);
/* The gap before span ${i}; false if there is none. */
bool cover_gap(const struct cover *c, size_t i, struct gap *ret);

/*
 * The hole above the newest span: whatever came since, as long as the archive's end is not confirmed. False when the
 * cover is live. Its before_id is "", its span is the number of spans.
 */
bool cover_tail(const struct cover *c, struct gap *ret);

/* Debug and tests: spans are ordered by stamp, disjoint, flags make sense. */
bool cover_valid(const struct cover *c);
