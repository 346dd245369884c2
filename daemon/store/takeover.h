/*
 * A plain archive of varve 0.1 becomes an encrypted one, at the first start of a varve that encrypts. Private to
 * store/.
 *
 *   archive.db plain                     copied page by page to archive.db.new under the keys, verified
 *   archive.db renamed to archive.db.plain-0.1, its log wiped before
 *   archive.db.new renamed to archive.db
 *   the vault becomes ready              the commit point: store_open() does it
 *   archive.db.plain-0.1, archive.state wiped
 *
 * Killed anywhere, the next start goes on: until the vault is ready the plain file is there under one of its two names,
 * and what was made of it is thrown away and made again.
 */
#pragma once

#include "vault/vault.h"

#define TAKEOVER_MARKER "archive.state" /* of varve 0.1: "an archive must exist here" */

/*
 * Before the database of ${v}, which is unlocked and not ready, is opened: take over what is there in clear. 0 also if
 * there is nothing; STORE_E_DAMAGED, STORE_E_NEWER, STORE_E_MISSING (only its marker is there) with a detail for the
 * user in *ret_what (a literal); -errno.
 */
int takeover_run(struct vault *v, const char **ret_what);
/* Once ${v} is ready and its database open: overwrite and remove what is in clear. Also completes an earlier one. */
int takeover_finish(struct vault *v);
