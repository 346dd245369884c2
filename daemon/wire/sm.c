#include "wire/sm.h"

#include <assert.h>
#include <string.h>

#include "wire/limits.h"

/* Nothing is on its way, the server has up to ${n}. */
static void start_out(struct sm *sm, uint32_t n)
{
	sm->numbered = sm->go = sm->out = sm->acked = sm->asked = n;
	sm->item_waits = sm->item_asked = false;
	sm->asking = 0;
}

void sm_enable(struct sm *sm, uint32_t allowance)
{
	start_out(sm, 0);
	sm->counts_out = true;
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
	start_out(sm, 0);
}

int sm_resumed(struct sm *sm, uint32_t in, uint32_t acked, uint32_t grant, uint32_t h)
{
	if (h - acked > grant - acked)
		return SM_E_TOO_HIGH;
	sm->counts_in = sm->counts_out = true;
	sm->in = sm->committed = sm->told = in;
	start_out(sm, h);
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

/* ${a} comes after ${b}. Never asked of numbers 2^31 apart. */
static bool after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static uint32_t later(uint32_t a, uint32_t b)
{
	return after(a, b) ? a : b;
}

/* What the grant leaves; a grant below the count (never given by a keeper) leaves nothing. */
static uint32_t left(const struct sm *sm)
{
	return after(sm->grant, sm->numbered) ? sm->grant - sm->numbered : 0;
}

bool sm_may_number(const struct sm *sm)
{
	return !sm->counts_out || left(sm) > 0;
}

uint32_t sm_number(struct sm *sm, bool item)
{
	return sm->counts_out || item ? ++sm->numbered : 0;
}

void sm_go(struct sm *sm, uint32_t n)
{
	if (after(n, sm->go) && !after(n, sm->numbered))
		sm->go = n;
}

bool sm_may_write(const struct sm *sm, uint32_t n)
{
	return !after(n, sm->go);
}

void sm_wrote(struct sm *sm, uint32_t n, bool item)
{
	if (!sm->counts_out && !item)
		return;
	sm->out = n;
	/* Never far behind, whatever is sent between two items: comparing has a limit. */
	if (after(n, sm->go))
		sm->go = n;
	if (!item)
		return;
	sm->item = n;
	sm->item_waits = true;
	sm->item_asked = false;
}

void sm_granted(struct sm *sm, uint32_t n)
{
	if (after(n, sm->grant))
		sm->grant = n;
}

bool sm_grant_low(const struct sm *sm)
{
	return sm->counts_out && left(sm) < SENT_LOW;
}

bool sm_request_due_between(const struct sm *sm)
{
	return sm->counts_out && sm->item_waits && !sm->item_asked && sm->asking < SM_ASKING_MAX &&
	       sm->out - later(sm->asked, sm->acked) >= ASK_BETWEEN;
}

static_assert(SM_ASKING_MAX > ON_WAY_ITEMS_MAX / ASK_BETWEEN, "a burst may ask all its questions, and one behind it");

bool sm_request_due(const struct sm *sm)
{
	if (sm_request_due_between(sm))
		return true;
	if (sm->asking)
		return false;
	if (sm->item_waits && !sm->item_asked)
		return true;
	return sm->counts_out && sm->out - sm->acked >= REQUEST_EVERY && sm->out - sm->asked >= REQUEST_EVERY;
}

void sm_requested(struct sm *sm)
{
	sm->asked = sm->out;
	sm->item_asked = true;
	/* Whatever asks: one more than there is room for takes the place of the last. */
	sm->asking += sm->asking < SM_ASKING_MAX;
	sm->asked_at[sm->asking - 1] = sm->out;
}

static void take_ack(struct sm *sm, uint32_t n)
{
	unsigned int done = sm->asking > 0;

	/* A server may answer several questions at once: with what it has then. */
	while (done < sm->asking && !after(sm->asked_at[done], n))
		done++;
	sm->asking -= done;
	memmove(sm->asked_at, sm->asked_at + done, sm->asking * sizeof(sm->asked_at[0]));
	sm->acked = n;
	if (!after(sm->item, n))
		sm->item_waits = false;
}

int sm_acked(struct sm *sm, uint32_t h)
{
	if (!sm->counts_out || h - sm->acked > sm->out - sm->acked)
		return SM_E_TOO_HIGH;
	take_ack(sm, h);
	return 0;
}

void sm_pong(struct sm *sm, uint32_t n)
{
	if (!sm->counts_out && !after(sm->acked, n) && !after(n, sm->out))
		take_ack(sm, n);
}
