/*
 * The terminal: its width, whether colours are welcome, asking for a secret, and the progress line.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum color { COLOR_OFF, COLOR_BOLD, COLOR_DIM, COLOR_RED, COLOR_GREEN, COLOR_YELLOW, COLOR_BLUE };

/* LC_CTYPE and the time zone; ${color_when}: "auto", "always", "never". Returns 0 or -EINVAL for another word. */
int term_init(const char *color_when);

/* Columns of the terminal behind stdout or stderr; 80 where there is none. $COLUMNS goes first. */
size_t term_columns(void);
bool term_is_tty(FILE *f);

/* The escape sequence for ${color}, "" when colours are off. $NO_COLOR (no-color.org) turns "auto" off. */
const char *term_color(enum color color);

/*
 * Ask for a secret on the terminal of stdin, without echo. *ret is the caller's to wipe and free. Returns 0,
 * -ENOTTY if stdin is no terminal, -EINTR if interrupted, -ENODATA for an empty line.
 */
#define SECRET_MAX 4096 /* bytes; RFC 4616 and SCRAM set none, and nobody types more */
int term_ask_secret(const char *prompt, char **ret);
/* Read a secret from file descriptor ${fd} up to the first line end. As above; -E2BIG beyond SECRET_MAX. */
int term_read_secret(int fd, char **ret);
/* Wipe and free. */
void secret_free(char *secret);

/* A bar of ${columns} for ${part} of ${whole}, into ${buf} (4 bytes a column and one more are enough). */
void term_bar(uint64_t part, uint64_t whole, size_t columns, char *buf);

/*
 * Print the cleaned text ${s} and a line end: it begins at column ${used}, where the caller has left the cursor, is
 * broken between words at the edge of the terminal, and goes on at column ${indent}. A word longer than a line stays
 * whole: it is a path or a JID that somebody wants to copy; and so does a command of several words that a line can hold.
 */
void term_put(FILE *f, enum color color, const char *s, size_t used, size_t indent);

/* Is there somebody to ask, and a place to ask at: stdin and stderr are terminals. */
bool term_can_ask(void);
/*
 * Ask the cleaned text ${question} on stderr, broken between words, with [y/N] whole behind it. Was it answered with yes?
 * For where term_can_ask() is true; anything else that is typed, or nothing, is no.
 */
bool term_confirm(const char *question);

/*
 * Replace the progress line on stderr by ${text} (cut to the width), or end it for NULL. Only on a terminal. A signal that
 * ends the program takes the line away too.
 */
void term_progress(const char *text);
