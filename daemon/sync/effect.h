/*
 * What a page of the archive does to coverage: the same cover, the same page, the same effect; nothing is stored.
 */
#pragma once

#include "sync/engine-priv.h"

enum answer {
	ANSWER_MOVED,  /* coverage grew, or knows better */
	ANSWER_STUCK,  /* it did not, and more would have to be there: the server did not read the question */
	ANSWER_GONE,   /* the span that it was asked for is not there any more */
	ANSWER_ASIDE,  /* the newest page, and live messages that may be older or newer */
	ANSWER_NO_CUT, /* the middle of the gap is empty, too near to its ends, or no place for a cut */
};

/* What the messages from ${from} on do to a cover. */
struct effect {
	size_t span; /* that holds them now */
	bool joined; /* it has met a span below: what is older is held */
};

/*
 * The messages of ${q} from ${from} on, which ${page} is, as the answer to its question: changes ${cover}, which is the caller's
 * copy. *ret says where they are in it, with ANSWER_MOVED.
 */
enum answer effect_apply(const struct engine *e, const struct query *q, size_t from, struct cover *cover,
			 const struct cover_page *page, struct effect *ret);
/*
 * The span that a page was asked for. A server that gives an id twice can make two spans begin with it: then it is the one that
 * something is missing below, or its page would be asked for without end.
 */
size_t effect_span_named(const struct cover *c, const char *first_id);
