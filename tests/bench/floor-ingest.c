#define _GNU_SOURCE /* strptime */
/*
 * The least that storing an archive can cost: expat reads the bytes that a server sent, and each message becomes one row of
 * one table with one index, in plain SQLite: WAL, synchronous=FULL as ours, one transaction a page, nothing encrypted,
 * nothing looked up, no search index.
 *
 *   floor-ingest FILE DB PAGE [rows]      prints: messages, seconds of wall clock, seconds of CPU
 *
 * rows: not the simplest row but the same ones: what varve keeps of a message, in tables and indexes of varve's schema (DB
 * is then a directory). Still plain SQLite with its own settings, and nothing looked up.
 */
#include <expat.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "load.h"

#define CHUNK (16 * 1024) /* a TLS record, as the wire reads */

#define CONTACTS_MAX 64

struct floor {
	XML_Parser parser;
	sqlite3 *db;
	sqlite3_stmt *insert, *place; /* place: of varve's rows, the one in aid */
	struct load load; /* varve's schema */
	long page, n;
	bool in_body;
	size_t len;
	char contacts[CONTACTS_MAX][256];
	int n_contacts;
	char id[128], aid[128], stamp[64], from[256], to[256], body[64 * 1024];
};

static void need(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "floor-ingest: %s\n", what);
	exit(1);
}

static void run(struct floor *f, const char *sql)
{
	need(sqlite3_exec(f->db, sql, NULL, NULL, NULL) == SQLITE_OK, sql);
}

static void keep(char *to, size_t size, const XML_Char **attributes, const char *name)
{
	for (; *attributes; attributes += 2)
		if (strcmp(attributes[0], name) == 0)
			snprintf(to, size, "%s", attributes[1]);
}

static bool is(const XML_Char *name, const char *local)
{
	const char *end = strrchr(name, ' ');

	return end && strcmp(end + 1, local) == 0;
}

static void XMLCALL begins(void *userdata, const XML_Char *name, const XML_Char **attributes)
{
	struct floor *f = userdata;

	if (is(name, "result")) {
		keep(f->aid, sizeof(f->aid), attributes, "id");
	} else if (is(name, "delay")) {
		keep(f->stamp, sizeof(f->stamp), attributes, "stamp");
	} else if (is(name, "message")) {
		keep(f->from, sizeof(f->from), attributes, "from");
		keep(f->to, sizeof(f->to), attributes, "to");
		keep(f->id, sizeof(f->id), attributes, "id");
	} else if (is(name, "body")) {
		f->in_body = true;
		f->len = 0;
	}
}

static void XMLCALL text(void *userdata, const XML_Char *s, int n)
{
	struct floor *f = userdata;

	if (!f->in_body || f->len + (size_t)n > sizeof(f->body))
		return;
	memcpy(f->body + f->len, s, (size_t)n);
	f->len += (size_t)n;
}

static int64_t contact_of(struct floor *f)
{
	bool out = strncmp(f->from, "alice@", 6) == 0;
	const char *jid = out ? f->to : f->from;
	size_t len = strcspn(jid, "/");
	int i = 0;

	while (i < f->n_contacts && (strncmp(f->contacts[i], jid, len) != 0 || f->contacts[i][len]))
		i++;
	if (i == f->n_contacts) {
		need(i < CONTACTS_MAX && len < sizeof(f->contacts[i]), "contacts");
		memcpy(f->contacts[f->n_contacts++], jid, len);
	}
	return out ? -(i + 1) : i + 1;
}

static int64_t stamp_us(const char *text)
{
	struct tm tm = { 0 };
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

	need(rest, text);
	return (int64_t)timegm(&tm) * 1000000 + (*rest == '.' ? (int64_t)(strtod(rest, NULL) * 1e6 + 0.5) : 0);
}

/* The columns of SQL_MSG_ADD that are not the same for all. */
static void store_rows(struct floor *f)
{
	int64_t conv = contact_of(f), us = stamp_us(f->stamp);

	sqlite3_bind_int64(f->insert, 1, conv < 0 ? -conv : conv);
	sqlite3_bind_int64(f->insert, 2, us);
	sqlite3_bind_int64(f->insert, 3, f->n);
	sqlite3_bind_int64(f->insert, 4, conv < 0);
	sqlite3_bind_text(f->insert, 5, f->from, -1, SQLITE_STATIC);
	sqlite3_bind_int64(f->insert, 6, (int64_t)((uint64_t)f->n * UINT64_C(0x9e3779b97f4a7c15)));
	sqlite3_bind_text(f->insert, 7, f->id, -1, SQLITE_STATIC);
	sqlite3_bind_text(f->insert, 8, f->body, (int)f->len, SQLITE_STATIC);
	need(sqlite3_step(f->insert) == SQLITE_DONE, "insert");
	sqlite3_reset(f->insert);
	sqlite3_bind_text(f->place, 1, f->aid, -1, SQLITE_STATIC);
	sqlite3_bind_int64(f->place, 2, us);
	sqlite3_bind_int64(f->place, 3, sqlite3_last_insert_rowid(f->db));
	need(sqlite3_step(f->place) == SQLITE_DONE, "insert");
	sqlite3_reset(f->place);
}

static void store_plain(struct floor *f)
{
	const char *texts[] = { f->aid, f->stamp, f->from, f->to };

	for (int i = 0; i < 4; i++)
		sqlite3_bind_text(f->insert, i + 1, texts[i], -1, SQLITE_STATIC);
	sqlite3_bind_text(f->insert, 5, f->body, (int)f->len, SQLITE_STATIC);
	need(sqlite3_step(f->insert) == SQLITE_DONE, "insert");
	sqlite3_reset(f->insert);
}

static void store(struct floor *f)
{
	if (f->n++ % f->page == 0)
		run(f, "BEGIN");
	if (f->place)
		store_rows(f);
	else
		store_plain(f);
	if (f->n % f->page == 0)
		run(f, "COMMIT");
}

static void XMLCALL ends(void *userdata, const XML_Char *name)
{
	struct floor *f = userdata;

	if (is(name, "body"))
		f->in_body = false;
	else if (is(name, "result"))
		store(f);
}

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void open_table(struct floor *f, const char *path)
{
	need(sqlite3_open(path, &f->db) == SQLITE_OK, "open");
	run(f, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA locking_mode=EXCLUSIVE;"
	       "CREATE TABLE plain(id INTEGER PRIMARY KEY, aid TEXT, stamp TEXT, sender TEXT, recipient TEXT, body TEXT) STRICT;"
	       "CREATE UNIQUE INDEX plain_aid ON plain(aid)");
	need(sqlite3_prepare_v2(f->db, "INSERT INTO plain(aid, stamp, sender, recipient, body) VALUES(?,?,?,?,?)", -1,
				 &f->insert, NULL) == SQLITE_OK, "prepare");
}

/* As archive_put() leaves them: all placed, sorted by stamp, read. */
static void open_rows(struct floor *f, const char *dir)
{
	char sql[512];

	load_open(&f->load, dir, true);
	f->db = f->load.s->db;
	run(f, "PRAGMA foreign_keys=OFF; PRAGMA secure_delete=OFF; PRAGMA wal_autocheckpoint=1000");
	snprintf(sql, sizeof(sql), "INSERT INTO msg(account, conv, key, mod, time_us, clock, delay_us, direction, state, kind, sender,"
		 " hash, xmpp_id, origin_id, body) VALUES(%lld,?1,?2,?3,?2,2,0,?4,1+?4,0,?5,?6,?7,?7,?8)", (long long)f->load.account);
	need(sqlite3_prepare_v2(f->db, sql, -1, &f->insert, NULL) == SQLITE_OK, "prepare");
	snprintf(sql, sizeof(sql), "INSERT INTO aid(archive, id, key, placed, msg) VALUES(%lld,?1,?2,1,?3)", (long long)f->load.archive);
	need(sqlite3_prepare_v2(f->db, sql, -1, &f->place, NULL) == SQLITE_OK, "prepare");
}

static void parse(struct floor *f, FILE *in)
{
	static char chunk[CHUNK];
	size_t n;

	f->parser = XML_ParserCreateNS(NULL, ' ');
	XML_SetUserData(f->parser, f);
	XML_SetElementHandler(f->parser, begins, ends);
	XML_SetCharacterDataHandler(f->parser, text);
	while ((n = fread(chunk, 1, sizeof(chunk), in)) > 0)
		need(XML_Parse(f->parser, chunk, (int)n, 0) == XML_STATUS_OK, "not well-formed");
	if (f->n % f->page)
		run(f, "COMMIT");
	XML_ParserFree(f->parser);
}

int main(int argc, char **argv)
{
	struct floor *f = calloc(1, sizeof(*f));
	double wall, cpu;
	FILE *in;

	need(argc >= 4 && f && atol(argv[3]) > 0, "usage: floor-ingest FILE DB PAGE [rows]");
	in = fopen(argv[1], "r");
	need(in, argv[1]);
	f->page = atol(argv[3]);
	if (argc > 4)
		open_rows(f, argv[2]);
	else
		open_table(f, argv[2]);
	wall = seconds(CLOCK_MONOTONIC);
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	parse(f, in);
	printf("%ld %.4f %.4f\n", f->n, seconds(CLOCK_MONOTONIC) - wall, seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
	sqlite3_finalize(f->insert);
	sqlite3_finalize(f->place);
	if (f->load.s)
		load_close(&f->load);
	else
		sqlite3_close(f->db);
	fclose(in);
	free(f);
	return 0;
}
