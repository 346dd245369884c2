/*
 * Help texts, made from the tables of verbs and options; so that they cannot say what is not so.
 */
#pragma once

#include <stdio.h>

struct ctl_cmd;

/* The overview. */
void help_all(FILE *f);
/* One verb: synopsis, paragraphs, options. */
void help_verb(FILE *f, const struct ctl_cmd *cmd);
/* The verbs that begin with the word ${group}. */
void help_group(FILE *f, const char *group);
