#include "wire/sm.h"

#include "wire/limits.h"

void sm_enable(struct sm *sm, uint32_t allowance)
{
	sm->counts_out = true;
	sm->out = sm->acked = sm->asked = 0;
	sm->grant = allowance;
}

void sm_enabled(struct sm *sm)
{
	sm->counts_in = true;
	sm->in = sm->committed = sm->told = 0;
}

void sm_refused(struct sm *sm)
{
	sm->counts_in = sm->counts_out = false;
}

int sm_resumed(struct sm *sm, uint32_t in, uint32_t acked, uint32_t grant, uint32_t h)
{
	if (h - acked > grant - acked)
		return SM_E_TOO_HIGH;
	sm->counts_in = sm->counts_out = true;
	sm->in = sm->committed = sm->told = in;
	sm->out = sm->acked = sm->asked = h;
	sm->grant = grant;
	return 0;
}

uint32_t sm_received(struct sm *sm)
{
	return sm->counts_in ? ++sm->in : 0;
}

void sm_committed(struct sm *sm, uint32_t n)
{
	if (sm->counts_in && n - sm->committed <= sm->in - sm->committed)
		sm->committed = n;
}

bool sm_ack_due(const struct sm *sm)
{
	return sm->counts_in && sm->committed - sm->told >= ACK_EVERY;
}

bool sm_ack_owed(const struct sm *sm)
{
	return sm->counts_in && sm->committed != sm->told;
}

uint32_t sm_tell(struct sm *sm)
{
	sm->told = sm->committed;
	return sm->told;
}

bool sm_full(const struct sm *sm)
{
	return sm->counts_in && sm->in - sm->committed > UNCOMMITTED_MAX;
}

/* What the grant leaves; a grant below the count (never given by a keeper) leaves nothing. */
static uint32_t left(const struct sm *sm)
{
	int32_t n = (int32_t)(sm->grant - sm->out);

	return n > 0 ? (uint32_t)n : 0;
}

bool sm_may_send(const struct sm *sm)
{
	return !sm->counts_out || left(sm) > 0;
}

uint32_t sm_sent(struct sm *sm)
{
	return sm->counts_out ? ++sm->out : 0;
}

void sm_granted(struct sm *sm, uint32_t n)
{
	if ((int32_t)(n - sm->grant) > 0)
		sm->grant = n;
}

bool sm_grant_low(const struct sm *sm)
{
	return sm->counts_out && left(sm) < SENT_LOW;
}

bool sm_request_due(const struct sm *sm)
{
	return sm->counts_out && sm->out - sm->acked >= REQUEST_EVERY && sm->out - sm->asked >= REQUEST_EVERY;
}

void sm_requested(struct sm *sm)
{
	sm->asked = sm->out;
}

int sm_acked(struct sm *sm, uint32_t h)
{
	if (!sm->counts_out || h - sm->acked > sm->out - sm->acked)
		return SM_E_TOO_HIGH;
	sm->acked = h;
	return 0;
}
