/*
 * The tables of archive.db, and how one version becomes the next. The SQL in schema.c is the documentation of the
 * format; docs/store.md has the overview.
 */
#pragma once

#include "store/db.h"

#define SCHEMA_VERSION 7
#define SCHEMA_APPLICATION_ID 0x76617276 /* "varv": what `file archive.db` shows, and what tells ours from others' */

/* The index itself; index.c drops it and makes it anew. automerge 0: index.c merges in steps of its own, because one
 * of FTS5's may take long. fts_term: its words, read for prefixes. */
#define SCHEMA_INDEX                                                                                               \
	"CREATE VIRTUAL TABLE fts USING fts5(body, content='fts_source', content_rowid='id', tokenize='chat',"     \
	" columnsize=0);"                                                                                          \
	"INSERT INTO fts(fts, rank) VALUES('automerge', 0);"                                                       \
	"CREATE VIRTUAL TABLE fts_term USING fts5vocab('fts', 'instance');"

/* What changed in messages that are indexed, with the text that the index still has. */
#define SCHEMA_DIRTY "CREATE TABLE fts_dirty(id INTEGER PRIMARY KEY, body TEXT) STRICT;"

/*
 * Bring the database to SCHEMA_VERSION: everything for a fresh one, else the migrations that are missing, all in one
 * transaction each. Returns 0, STORE_E_NEWER, STORE_E_DAMAGED (not ours), or -errno.
 */
int schema_apply(struct store *s, bool fresh);
