/*
 * The table of verbs: help, completions, the parser and the dispatch all read it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct ctl;

/* What the words after a verb are: for completions. */
enum ctl_words {
	WORDS_NONE,
	WORDS_ACCOUNT,
	WORDS_CONVERSATION,
	WORDS_SETTING, /* KEY=VALUE */
	WORDS_KEY, /* kinds of keys, then a file */
	WORDS_FILE,
	WORDS_CONVERSATION_ONE, /* a conversation, then something else */
	WORDS_CONTACT,
	WORDS_VERB,
	WORDS_OBJECT, /* of the bus */
};

struct ctl_cmd {
	const char *name; /* "status", "account add" */
	const char *synopsis; /* the words after it: "JID" */
	const char *summary; /* one line for the list of verbs */
	const char *help; /* paragraphs, lines of at most 78 columns */
	uint64_t opts; /* OPT_BIT()s besides the global ones */
	size_t args_min, args_max;
	enum ctl_words words;
	int (*run)(struct ctl *c); /* returns an enum exit_code */
};

extern const struct ctl_cmd ctl_cmds[];
extern const size_t ctl_cmds_n;

/*
 * The command that ${word} names, alone or as the group before ${next} (which may be NULL). *ret_used: how many of
 * the two words it took. NULL if there is none.
 */
const struct ctl_cmd *verb_find(const char *word, const char *next, size_t *ret_used);

/* ${word} is the first word of verbs that have two. */
int verb_is_group(const char *word);

/*
 * The nearest known verb to ${word}, or to ${next} within the group ${word} when it is not NULL; NULL if nothing is
 * near. The caller frees.
 */
char *verb_guess(const char *word, const char *next);
