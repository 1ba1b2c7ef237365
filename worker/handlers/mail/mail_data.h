/* SPDX-License-Identifier: MIT */
/*
 * mail_data: what a template may say. The one list of names, shared by whoever fills them from the
 * database and by the templates; docs/forum.md shows it to operators.
 */
#ifndef WORKER_HANDLERS_MAIL_MAIL_DATA_H
#define WORKER_HANDLERS_MAIL_MAIL_DATA_H

#include <jansson.h>

#include "worker/handlers/mail/fault.h"

/*
 * X(field of struct mail_data, name in templates, meaning). NULL or "": the name is absent, and a
 * section around it is left out.
 */
#define MAIL_DATA_FIELDS(X)                                                                        \
    X(forum_name, "forum.name", "name of the forum")                                               \
    X(forum_address, "forum.address", "its address, with / at the end")                            \
    X(forum_host, "forum.host", "the host in that address")                                        \
    X(forum_footer, "forum.footer", "the footer of mails set in the forum")                        \
    X(user_name, "user.name", "who gets the mail")                                                 \
    X(user_avatar, "user.avatar", "address of that user's avatar, 32 pixels")                      \
    X(actor_name, "actor.name", "who wrote the reply or started the private thread")               \
    X(thread_title, "thread.title", "title of the thread")                                         \
    X(thread_link, "thread.link", "address of the thread")                                         \
    X(link, "link", "what the button opens: the new post, or the private thread")                  \
    X(unsubscribe, "unsubscribe", "address that ends mails of this thread, without a login")       \
    X(settings, "settings", "address of the user's notification settings")

/* Set by template_set_render() itself, in the text and HTML parts. */
#define MAIL_DATA_SUBJECT "subject"
#define MAIL_DATA_LANGUAGE "language" /* of the templates chosen, such as "en" */

/* Borrowed UTF-8 strings, as they stand in the database. */
struct mail_data {
#define MAIL_DATA_MEMBER(field, name, meaning) const char *field;
    MAIL_DATA_FIELDS(MAIL_DATA_MEMBER)
#undef MAIL_DATA_MEMBER
};

/* All names, ended by NULL, with those set by template_set_render(). Constant. */
const char *const *mail_data_names(void);

/*
 * The data as nested objects; every text went through header_clean(). Caller frees with
 * json_decref(). NULL: no memory (MAIL_FAULT_SYSTEM).
 */
json_t *mail_data_json(const struct mail_data *data, struct mail_fault *why);

#endif
