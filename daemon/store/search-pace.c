#include "store/search-pace.h"

#define IDS_MIN 64
#define IDS_SMALL 512 /* it takes what its beginning takes */
#define IDS_MAX (1 << 24)
#define MEASURED 64 /* windows of a size, until a small one is measured anew: another program may have come or gone */

void pace_init(struct pace *p)
{
	*p = (struct pace){ .ids = IDS_SMALL };
}

static void grow(struct pace *p)
{
	if (p->ids < IDS_MAX)
		p->ids *= 2;
	p->same = 0;
}

void pace_done(struct pace *p, int64_t took_us, int64_t budget_us)
{
	if (p->ids <= IDS_SMALL || took_us < p->begin_us)
		p->begin_us = took_us;
	if (took_us - p->begin_us < budget_us / 4)
		grow(p);
	else if (++p->same == MEASURED)
		*p = (struct pace){ .ids = IDS_SMALL };
}

void pace_held(struct pace *p)
{
	grow(p);
}

bool pace_is_least(const struct pace *p)
{
	return p->ids == IDS_MIN;
}

bool pace_too_long(struct pace *p)
{
	if (pace_is_least(p))
		return false;
	p->ids /= 2;
	return true;
}
