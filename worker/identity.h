/* SPDX-License-Identifier: MIT */
/*
 * identity: who this jobd is: the locked state file of its instance, and incarnation names.
 *
 * The file <state_dir>/<instance>.state is locked (flock) for life and holds machine id, boot id
 * and incarnation. Who holds the lock knows that the incarnation written there, of this machine and
 * this boot, is dead: a process loses its locks when it ends, however it ends.
 */
#ifndef WORKER_IDENTITY_H
#define WORKER_IDENTITY_H

#include <stddef.h>

#include <jobq/error.h>

#include "base/base.h"

struct identity;

/*
 * Opens and locks. predecessor gets the incarnation that ended here without saying good-bye, or "".
 * JOBQ_ECONFIG: the directory cannot be used, or another jobd of this instance runs. Caller frees.
 */
MUST_CHECK int identity_open(const char *state_dir, const char *instance, struct identity **out,
                             char *predecessor, size_t size, jobq_err *err);
/*
 * Makes a name never used before, "host-boot-pid-random", and writes it down before it is used. JOBQ_ESTATE: the name
 * is made but could not be written (a full disk): a successor will not know it, and leave it to presence and leases.
 */
MUST_CHECK int identity_new_name(struct identity *id, char *name, size_t size, jobq_err *err);
/* We left in order: nobody needs to declare us dead. */
void identity_forget(struct identity *id);
void identity_close(struct identity *id); /* NULL is fine */

#endif
