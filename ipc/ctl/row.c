#include "ipc/ctl/row.h"

#include <errno.h>
#include <string.h>

#include "ipc/ctl/util.h"
#include "ipc/libvarve/dict.h"
#include "ipc/names.h"

void gap_deinit(struct gap *g)
{
	free(g->conversation);
	free(g->state);
	free(g->after_stanza_id);
	free(g->before_stanza_id);
	*g = (struct gap){ 0 };
}

static int take_string(sd_bus_message *m, char **ret)
{
	const char *s;
	int r = sd_bus_message_read(m, "v", "s", &s);

	if (r < 0)
		return r;
	free(*ret);
	*ret = xstrdup(s);
	return 1;
}

static void fill(char **s)
{
	if (!*s)
		*s = xstrdup("");
}

static int gap_extra(sd_bus_message *m, const char *key, const char *contents, void *userdata)
{
	struct gap *row = userdata;

	if (strcmp(key, "after-stanza-id") == 0 && strcmp(contents, "s") == 0)
		return take_string(m, &row->after_stanza_id);
	if (strcmp(key, "before-stanza-id") == 0 && strcmp(contents, "s") == 0)
		return take_string(m, &row->before_stanza_id);
	return 0;
}

int gap_read(sd_bus_message *m, struct gap *ret)
{
	struct gap row = { 0 };
	const char *conversation, *state;
	int r = sd_bus_message_enter_container(m, 'r', VARVE_SIG_GAP_FIELDS);

	if (r <= 0)
		return r;
	r = sd_bus_message_read(m, "tsttxxs", &row.id, &conversation, &row.after_id, &row.before_id, &row.after_us,
				&row.before_us, &state);
	if (r < 0)
		return r;
	row.conversation = xstrdup(conversation);
	row.state = xstrdup(state);
	r = varve__dict_each(m, gap_extra, &row);
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	if (r < 0) {
		gap_deinit(&row);
		return r;
	}
	fill(&row.after_stanza_id);
	fill(&row.before_stanza_id);
	*ret = row;
	return 1;
}
