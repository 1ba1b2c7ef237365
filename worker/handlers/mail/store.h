/* SPDX-License-Identifier: MIT */
/*
 * store: what a mail needs to know from the forum's database, and the record of mails accepted.
 *
 * Everything is looked at when the mail is about to leave, not when it was asked for: meanwhile the
 * user may have read the thread, lost interest or left, and the post may be gone.
 *
 * From store_load() to store_record() or store_leave() a transaction is open, also while a mail
 * server is talked to: it holds the right to send this mail, and nothing else that anybody could
 * wait for (READ COMMITTED keeps no snapshot between statements). So it works behind a pooler that
 * hands out connections by transaction, too. The state lives as long as the executor; the
 * connection is the runtime's.
 */
#ifndef WORKER_HANDLERS_MAIL_STORE_H
#define WORKER_HANDLERS_MAIL_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/handlers/common/forum.h"
#include "worker/handlers/common/pg.h"

struct store {
    enum forum_version version; /* FORUM_UNKNOWN: not probed yet */
    char record[192];           /* statements that name our schema */
    char is_sent[192];
    char prune[320];
};

/* schema: letters, digits and _, as the configuration has checked. */
void store_init(struct store *s, const char *schema);

/* What a job asks for. */
struct store_request {
    bool is_private; /* mail.private_thread */
    int64_t post_id; /* mail.reply */
    int64_t watched_id;
    int64_t thread_id; /* mail.private_thread */
    int64_t user_id;   /* of a reply: 0 where the job does not say */
    int64_t actor_id;
};

enum store_outcome {
    STORE_OK,
    STORE_FAILED,  /* a statement did; why says how */
    STORE_UNKNOWN, /* the tables are not a forum's; why->text says so */
    STORE_BUSY,    /* another run has this mail in its hands */
    STORE_SKIP,    /* nobody wants it any more; facts->skip says why */
};

/* One row: strings are its own, NULL where the database has none. Freed by store_facts_done(). */
struct store_facts {
    struct pg_result *row; /* NULL: none */
    const char *skip;
    const char *notification_id;
    const char *user_id;
    const char *user_name;
    const char *user_email;
    const char *actor_name;
    const char *post_id;
    const char *thread_id;
    const char *thread_title;
    const char *thread_slug;
    bool thread_is_private;
    const char *watched_id;
    const char *secret;
    const char *forum_address;
    const char *forum_name;
    const char *forum_footer;
};

/*
 * Opens the transaction, takes the right to send this mail, which ends with it, and reads the
 * facts. *facts is to be freed, and store_leave() to be called, whatever the outcome.
 */
enum store_outcome store_load(struct store *s, struct pg_conn *conn,
                              const struct store_request *request, struct store_facts *facts,
                              struct pg_failure *why);
void store_facts_done(struct store_facts *facts);

/* Whether a server accepted that mail before. */
bool store_is_sent(const struct store *s, struct pg_conn *conn, const char *message_id,
                   bool *is_sent, struct pg_failure *why);
/* A server accepted it just now: writes that down and commits. */
bool store_record(const struct store *s, struct pg_conn *conn, const char *message_id,
                  struct pg_failure *why);
/* Ends the transaction if it is still open. */
void store_leave(struct pg_conn *conn);
/* Forgets some of those that are older than retention_ms. */
bool store_prune(const struct store *s, struct pg_conn *conn, int64_t retention_ms,
                 struct pg_failure *why);

#endif
