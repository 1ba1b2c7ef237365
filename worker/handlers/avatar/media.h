/* SPDX-License-Identifier: MIT */
/*
 * media: files below the forum's media root, and nothing else.
 *
 * Names come from a database that others write. Each component is opened by itself beneath the
 * directory before it, by openat2() (where the kernel has none: openat()), following no symbolic
 * link; "..", "." and empty components are refused. So a name cannot lead outside, also while
 * somebody swaps directories for links.
 *
 * A struct media lives for one job. Single thread.
 */
#ifndef WORKER_HANDLERS_AVATAR_MEDIA_H
#define WORKER_HANDLERS_AVATAR_MEDIA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEDIA_NAME_MAX 255 /* bytes of a name below the root, as the forum's columns hold */

struct media {
    int root; /* descriptor */
};

enum media_fault_kind {
    MEDIA_MISSING, /* no such file */
    MEDIA_BAD,     /* its name leads outside or through a link, it is no file, or is too large */
    MEDIA_FAILED,  /* the system failed: number says how */
};

struct media_fault {
    enum media_fault_kind kind;
    int number; /* errno */
    char text[512];
};

/* All functions: 0; -1 and *fault. */

/* The root itself may be reached through links: it is the operator's word. */
int media_open(const char *root, struct media *out, struct media_fault *fault);
void media_close(struct media *m);

/* The whole file; *bytes is freed with free(). MEDIA_BAD when it is longer than max. */
int media_read(const struct media *m, const char *name, size_t max, uint8_t **bytes, size_t *len,
               struct media_fault *fault);

/* A directory, to be closed by the caller. create: makes what is missing of it, durably. */
int media_directory(const struct media *m, const char *name, bool create, int *out,
                    struct media_fault *fault);

/*
 * Writes a file of a directory under another name, syncs it and renames it: the name always stands
 * for a whole file. Durable once media_sync() was called for the directory.
 */
int media_put(int directory, const char *file, const uint8_t *bytes, size_t len,
              struct media_fault *fault);
int media_sync(int directory, struct media_fault *fault);

/* Whether a file is there; of this length. */
bool media_exists(const struct media *m, const char *name);
bool media_has(const struct media *m, const char *name, size_t len);

/* Removes a file; that it is not there is fine. */
int media_remove(const struct media *m, const char *name, struct media_fault *fault);
/* Removes a directory if it is empty; whatever else is the case is fine. */
void media_remove_directory(const struct media *m, const char *name);

/* JOBQ_DEAD, JOBQ_RETRY, or JOBQ_SNOOZE where the disk stood in the way and not the job. */
int media_verdict(const struct media_fault *fault);

/* Opens one component of a directory, beneath it and not through a link; as openat(). */
int media_open_one(int directory, const char *component, int flags, unsigned mode);

#endif
