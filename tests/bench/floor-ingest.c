/*
 * The least that storing an archive can cost: expat reads the bytes that a server sent, and each message becomes one row of
 * one table with one index, in plain SQLite: WAL, synchronous=FULL as ours, one transaction a page, nothing encrypted,
 * nothing looked up, no search index.
 *
 *   floor-ingest FILE DB PAGE      prints: messages, seconds of wall clock, seconds of CPU
 */
#include <expat.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHUNK (16 * 1024) /* a TLS record, as the wire reads */

struct floor {
	XML_Parser parser;
	sqlite3 *db;
	sqlite3_stmt *insert;
	long page, n;
	bool in_body;
	size_t len;
	char aid[128], stamp[64], from[256], to[256], body[64 * 1024];
};

static void check(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "floor-ingest: %s\n", what);
	exit(1);
}

static void run(struct floor *f, const char *sql)
{
	check(sqlite3_exec(f->db, sql, NULL, NULL, NULL) == SQLITE_OK, sql);
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

static void store(struct floor *f)
{
	const char *texts[] = { f->aid, f->stamp, f->from, f->to };

	if (f->n++ % f->page == 0)
		run(f, "BEGIN");
	for (int i = 0; i < 4; i++)
		sqlite3_bind_text(f->insert, i + 1, texts[i], -1, SQLITE_STATIC);
	sqlite3_bind_text(f->insert, 5, f->body, (int)f->len, SQLITE_STATIC);
	check(sqlite3_step(f->insert) == SQLITE_DONE, "insert");
	sqlite3_reset(f->insert);
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
	check(sqlite3_open(path, &f->db) == SQLITE_OK, "open");
	run(f, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA locking_mode=EXCLUSIVE;"
	       "CREATE TABLE plain(id INTEGER PRIMARY KEY, aid TEXT, stamp TEXT, sender TEXT, recipient TEXT, body TEXT) STRICT;"
	       "CREATE UNIQUE INDEX plain_aid ON plain(aid)");
	check(sqlite3_prepare_v2(f->db, "INSERT INTO plain(aid, stamp, sender, recipient, body) VALUES(?,?,?,?,?)", -1,
				 &f->insert, NULL) == SQLITE_OK, "prepare");
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
		check(XML_Parse(f->parser, chunk, (int)n, 0) == XML_STATUS_OK, "not well-formed");
	if (f->n % f->page)
		run(f, "COMMIT");
	XML_ParserFree(f->parser);
}

int main(int argc, char **argv)
{
	struct floor *f = calloc(1, sizeof(*f));
	double wall, cpu;
	FILE *in;

	check(argc == 4 && f && atol(argv[3]) > 0, "usage: floor-ingest FILE DB PAGE");
	in = fopen(argv[1], "r");
	check(in, argv[1]);
	f->page = atol(argv[3]);
	open_table(f, argv[2]);
	wall = seconds(CLOCK_MONOTONIC);
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	parse(f, in);
	printf("%ld %.4f %.4f\n", f->n, seconds(CLOCK_MONOTONIC) - wall, seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
	sqlite3_finalize(f->insert);
	sqlite3_close(f->db);
	fclose(in);
	free(f);
	return 0;
}
