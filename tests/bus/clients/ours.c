/*
 * A client with libvarve. ours SOCKET ACCOUNT COMMAND ARGS...; the commands and what they print are those of
 * tests/bus/test_stock.py.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <varve/varve.h>

static struct varve *v;

static void must(int r)
{
	if (r >= 0)
		return;
	printf("%s %s\n", varve_errname(v), varve_errmsg(v));
	exit(0);
}

static int on_event(void *userdata, const struct varve_event *e)
{
	(void)userdata;
	if (e->kind == VARVE_EVENT_MESSAGE)
		printf("%s\n", e->message->body);
	fflush(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	struct varve_conversations *list;
	struct varve_follow *follow;
	struct varve_messages *page;
	struct varve_account *a;
	const char *command;
	uint64_t id;
	bool existing;

	if (argc < 4)
		return 2;
	command = argv[3];
	must(varve_open(argv[1], 0, &v));
	must(varve_account_find(v, NULL, &a));
	if (strcmp(varve_account_path(a), argv[2]) != 0)
		return 1;
	if (strcmp(command, "conversations") == 0) {
		must(varve_list_conversations(a, NULL, 7, false, &list));
		for (size_t i = 0; i < varve_conversations_count(list); i++)
			printf("%s\n", varve_conversations_get(list, i)->id);
		varve_conversations_unref(list);
	} else if (strcmp(command, "history") == 0) {
		struct varve_history_query q = { .conversation = argv[4], .anchor = argv[5],
						 .value = strtoull(argv[6], NULL, 10), .before = (uint32_t)atoi(argv[7]) };

		must(varve_history(a, &q, &page));
		for (size_t i = 0; i < varve_messages_count(page); i++)
			printf("%" PRIu64 " %s\n", varve_messages_get(page, i)->id, varve_messages_get(page, i)->body);
		varve_messages_unref(page);
	} else if (strcmp(command, "send") == 0) {
		must(varve_send(a, argv[4], argv[5], argv[6], 0, &id, &existing));
		printf("%" PRIu64 " %s\n", id, existing ? "true" : "false");
	} else {
		/* The epoch need not be known to begin at the beginning: any archive has that. */
		char *epoch;
		uint64_t seq;

		must(varve_position(a, &epoch, &seq));
		must(varve_follow(a, epoch, 0, 0, on_event, NULL, &follow));
		while (varve_wait(v, UINT64_MAX) >= 0)
			while (varve_process(v) > 0)
				;
	}
	varve_account_free(a);
	varve_close(v);
	return 0;
}
