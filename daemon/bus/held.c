#include "bus/held.h"

static void set_coming(struct held *h, struct intake coming)
{
	*h->all += coming.bytes - h->coming.bytes;
	h->coming = coming;
}

static struct intake sum(struct intake a, struct intake b)
{
	return (struct intake){ a.bytes + b.bytes, a.fds + b.fds };
}

static bool fits(const struct held *h)
{
	return *h->all <= HELD_ALL_MAX || h->coming.bytes + h->kept <= HELD_FREE;
}

const char *held_read(struct held *h, struct intake part)
{
	set_coming(h, sum(h->coming, part));
	if (h->coming.bytes > HELD_CALL_MAX)
		return "sends a call that is too long";
	if (h->coming.fds > INTAKE_FDS)
		return "sends more descriptors than any call takes";
	return fits(h) ? NULL : "sends a long call while too much is held already";
}

struct intake held_whole(struct held *h, struct intake part)
{
	struct intake whole = sum(h->coming, part);

	set_coming(h, (struct intake){ 0 });
	return whole;
}

bool held_keep(struct held *h, size_t bytes)
{
	h->kept += bytes;
	*h->all += bytes;
	if (fits(h))
		return true;
	held_drop(h, bytes);
	return false;
}

void held_drop(struct held *h, size_t bytes)
{
	h->kept -= bytes;
	*h->all -= bytes;
}

void held_forget(struct held *h)
{
	set_coming(h, (struct intake){ 0 });
	held_drop(h, h->kept);
}
