/* SPDX-License-Identifier: MIT */
/*
 * template_set: the template files, found by type and language, kept parsed.
 *
 * <directory>/<language>/<type>.{subject,txt,html}: the operator's directory goes before the
 * shipped one, file by file. The language asked for, then without its region (pt-br, pt), then en:
 * the first of them that has any of the three files. A language that has only some of them is a
 * fault, as is an operator's file that cannot be read or parsed: a mail is never made of two
 * languages, nor of a shipped file where an operator's one is broken.
 *
 * Files are looked at (stat) for every mail and read again when they are others: nothing has to be
 * restarted. Lives as long as its executor. Blocks for reading small files only.
 */
#ifndef WORKER_HANDLERS_MAIL_TEMPLATE_SET_H
#define WORKER_HANDLERS_MAIL_TEMPLATE_SET_H

#include <stdbool.h>
#include <stddef.h>

#include "worker/handlers/mail/fault.h"
#include "worker/handlers/mail/mail_data.h"

#define TEMPLATE_SUBJECT_MAX 4096       /* bytes */
#define TEMPLATE_PART_MAX (256u * 1024) /* bytes of a rendered text or HTML part */
#define TEMPLATE_LANGUAGE_MAX 16

struct template_set;

/* The three parts of one mail, valid UTF-8, NUL-terminated, without any control characters but
   tab and line feed; the subject has neither. Freed by mail_parts_done(). */
struct mail_parts {
    char *subject; /* not empty */
    char *text;
    char *html;
    char language[TEMPLATE_LANGUAGE_MAX + 1]; /* of the files used */
};

/*
 * Reads nothing yet. Directories are copied; overrides may be NULL or absent on disk. NULL: no
 * memory. Caller frees with template_set_free().
 */
struct template_set *template_set_new(const char *overrides, const char *shipped);
/* NULL is fine. */
void template_set_free(struct template_set *set);

/*
 * Renders the three parts; *out is written only on success, never in part. type such as
 * "mail.reply"; language such as "en", "pt-br" or "pt_BR" (MAIL_FAULT_SETTING when it is not one).
 */
bool template_set_render(struct template_set *set, const char *type, const char *language,
                         const struct mail_data *data, struct mail_parts *out,
                         struct mail_fault *why);

/* Whether the files of a type are there and parse, for a check at the start. */
bool template_set_check(struct template_set *set, const char *type, const char *language,
                        struct mail_fault *why);

void mail_parts_done(struct mail_parts *parts);

#endif
