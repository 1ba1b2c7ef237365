/* SPDX-License-Identifier: MIT */
/*
 * template_file: parsed templates by path, read again when their file is another.
 *
 * A file counts as another when its device, inode, size or times differ from those seen before it
 * was read. One that was written less than two seconds before it was read is read again at the next
 * look: a second change within one tick of the file system's clock would not be seen otherwise.
 *
 * Owned by a template_set. Blocks for reading small files only; never for a FIFO.
 */
#ifndef WORKER_HANDLERS_MAIL_TEMPLATE_FILE_H
#define WORKER_HANDLERS_MAIL_TEMPLATE_FILE_H

#include <stdint.h>
#include <sys/stat.h>

#include "worker/handlers/mail/fault.h"
#include "worker/handlers/mail/template.h"

#define TEMPLATE_FILES_MAX 64 /* kept; the one not used for longest goes first */

struct template_file {
    char *path; /* NULL: free */
    struct stat seen;
    struct template *parsed;
    struct mail_fault broken; /* why parsed is NULL */
    bool look_again;          /* may have changed unseen */
    uint64_t used;            /* the count of uses at its last one */
};

struct template_cache {
    struct template_file files[TEMPLATE_FILES_MAX];
    uint64_t uses;
};

enum template_found { TEMPLATE_FOUND, TEMPLATE_ABSENT, TEMPLATE_FAULT };

/* *out is the cache's, valid until TEMPLATE_FILES_MAX other files were asked for or the file is
   asked for again. names as for template_parse(). */
enum template_found template_file_get(struct template_cache *cache, const char *path,
                                      const char *const *names, const struct template **out,
                                      struct mail_fault *why);
void template_cache_done(struct template_cache *cache);

#endif
