/*
 * Archive pages (XEP-0313 with XEP-0059): requests from the keeper's records, results back into records. A result is
 * believed only while its query is open, with the query's own queryid, from the archive that was asked (I4); the end
 * of a page is what <fin/> says, never a count (A2).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <strophe.h>

#include "base/buf.h"
#include "link/vocab.h"
#include "wire/iq.h"
#include "wire/record.h"

struct mam;

/* What the wire gives it and takes from it. */
struct mam_ops {
	/* Send ${xml}, an iq; it is counted like any stanza. */
	void (*send)(void *userdata, const char *xml);
	void (*emit)(void *userdata, const struct link_record *r);
	int64_t (*now)(void *userdata); /* CLOCK_BOOTTIME, microseconds */
	void *userdata;
};

/* ${context} and ${iqs} stay the caller's and outlive it; ${ops} is copied. */
struct mam *mam_new(const struct record_context *context, struct iq_table *iqs, const struct mam_ops *ops);
struct mam *mam_free(struct mam *m);
DEFINE_CLEANUP(struct mam *, mam_free);

/* Whether the account's archive has <metadata/> (#extended); else the ends are asked for with pages of one. */
void mam_set_extended(struct mam *m, bool extended);

/* The keeper wants a page. Answers with MSG* and then FIN, or with QUERY_FAILED. */
void mam_query(struct mam *m, const struct link_query *q);
/* The keeper wants the ends of the archive. Answers with META or QUERY_FAILED. */
void mam_meta_query(struct mam *m, const struct link_meta_query *q);
/* How many are open. */
unsigned int mam_open(const struct mam *m);

/*
 * A <message/> with number ${n} came. True if it claims to be an archive result: then it was one of an open query and
 * a record went out, or it was ignored; in no case is it a live message.
 */
bool mam_take(struct mam *m, xmpp_stanza_t *message, const char *dropped, uint32_t n);

/* The <iq/> that asks for the page ${q} under ${id} and ${queryid}, appended to ${out}. Pure; for mam_query(). */
void mam_build(struct buf *out, const struct link_query *q, const char *id, const char *queryid);
/* <fin/> into ${ret} but for n, query and results. False if ${iq} holds none. Strings are the stanza's and ${hold}'s. */
bool mam_read_fin(xmpp_stanza_t *iq, struct link_fin *ret, char *hold[2]);
