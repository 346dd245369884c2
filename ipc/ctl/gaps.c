#include "ipc/ctl/gaps.h"

#include "ipc/ctl/ctl.h"

#define GAPS_PAGE 500 /* a call; the daemon gives no more */

void gaps_deinit(struct gaps *g)
{
	for (size_t i = 0; i < g->n; i++)
		gap_deinit(&g->gap[i]);
	free(g->gap);
	*g = (struct gaps){ 0 };
}

static int read_page(sd_bus_message *reply, struct gaps *g, int *ret_more)
{
	int r = sd_bus_message_enter_container(reply, 'a', VARVE_SIG_GAP);

	while (r >= 0) {
		struct gap row;

		r = gap_read(reply, &row);
		if (r <= 0)
			break;
		g->gap = xrealloc(g->gap, g->n + 1, sizeof(*g->gap));
		g->gap[g->n++] = row;
	}
	if (r >= 0)
		r = sd_bus_message_exit_container(reply);
	return r < 0 ? r : sd_bus_message_read(reply, "b", ret_more);
}

int gaps_get(struct ctl *c, const char *conversation, struct gaps *ret)
{
	int more = 1, r = EXIT_OK;

	*ret = (struct gaps){ 0 };
	while (more && ret->n < GAPS_MAX) {
		_cleanup_(unrefp) sd_bus_message *reply = NULL;
		size_t before = ret->n;

		r = ctl_call(c, VARVE_IFACE_SYNC, "ListGaps", &reply, "stu", conversation,
			     ret->n ? ret->gap[ret->n - 1].id : (uint64_t)0, (uint32_t)GAPS_PAGE);
		if (r == EXIT_OK && read_page(reply, ret, &more) < 0)
			r = ctl_bad_reply(c, "ListGaps");
		if (r != EXIT_OK) {
			gaps_deinit(ret);
			return r;
		}
		if (ret->n == before) /* "more" without any: do not ask for ever */
			break;
	}
	return r;
}
