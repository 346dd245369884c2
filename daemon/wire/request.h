/*
 * What the user asks of the server (REQUEST): roster, block list, subscriptions, own presence. Questions are answered
 * by RESULT once the server answers, presences as soon as they are sent.
 */
#pragma once

#include "link/link.h"
#include "wire/iq.h"
#include "wire/mam.h"

struct requests;

/* ${iqs} stays the caller's and outlives it; ${ops} is copied. */
struct requests *requests_new(struct iq_table *iqs, const struct mam_ops *ops);
struct requests *requests_free(struct requests *q);
DEFINE_CLEANUP(struct requests *, requests_free);

/* One request: sent, and answered now or later; one that cannot be sent is answered now. */
void requests_take(struct requests *q, const struct link_request *request);
