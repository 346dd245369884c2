/*
 * From a row of the database to the structs of read.h. Private to store/.
 */
#pragma once

#include "store/db.h"
#include "store/read.h"

/* The present row of a statement that selects SQL_MESSAGE_COLUMNS; strings die with it. */
void row_read(struct stmt *q, struct message_row *ret);
/* Message ${id}: calls ${fn}, returns what it returns; READ_E_NO_MESSAGE. */
int row_emit(struct store *s, int64_t account, int64_t id, message_row_fn fn, void *userdata);
/* The present row of a statement that selects SQL_CONV_COLUMNS, with its last message: calls ${fn}. */
int conv_emit(struct store *s, int64_t account, struct stmt *q, conversation_row_fn fn, void *userdata);
/* The present row of a statement that selects SQL_CONTACT_COLUMNS; strings die with it. */
void contact_read(struct stmt *q, struct contact_row *ret);
/* Bytes of strings in a row, for READ_BYTES_MAX. */
size_t row_size(const struct message_row *row);
