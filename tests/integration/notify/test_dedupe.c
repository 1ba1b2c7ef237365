/* SPDX-License-Identifier: MIT */
/* notify.dedupe_watched: one watch of a thread is left to each user. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "tests/integration/notify/stage.h"

IN_BOTH(leaves_each_user_the_watch_last_read)
{
    long long first = stage_watch(s, 1, 7, true);
    long long newest = stage_watch(s, 1, 7, false);
    long long older = stage_watch(s, 1, 7, false);
    long long alone = stage_watch(s, 1, 8, false);
    long long silent = stage_watch(s, 1, 9, false);
    stage_watch(s, 1, 9, false);
    long long elsewhere = stage_watch(s, 2, 7, true);
    pg_do(s->pg,
          "UPDATE misago_notifications_watchedthread SET %s = now() - CASE id"
          " WHEN %lld THEN interval '2 days' WHEN %lld THEN interval '1 hour'"
          " WHEN %lld THEN interval '1 day' ELSE interval '5 days' END",
          s->words->read, first, newest, older);

    stage_must(s, DEDUPE, "{\"thread_id\":1}", "{\"deleted\":3,\"upgraded\":1}");
    char *left = pg_str(s->pg, "SELECT string_agg(id || ':' || send_emails, ' ' ORDER BY id)"
                               " FROM misago_notifications_watchedthread");
    cr_assert_str_eq(
        left, fmt("%lld:true %lld:false %lld:false %lld:true", newest, alone, silent, elsewhere));
    free(left);
    stage_must(s, DEDUPE, "{\"thread_id\":1}", "{\"deleted\":0,\"upgraded\":0}");
}

IN_BOTH(has_nothing_to_do_in_a_thread_that_is_gone)
{
    stage_watch(s, 1, 7, true);
    stage_must(s, DEDUPE, "{\"thread_id\":999999}", "{\"deleted\":0,\"upgraded\":0}");
    stage_must(s, DEDUPE, "{\"thread_id\":9223372036854775807}", "{\"deleted\":0,\"upgraded\":0}");
    cr_assert_eq(pg_int(s->pg, "SELECT count(*) FROM misago_notifications_watchedthread"), 1);
}

IN_BOTH(keeps_what_a_user_reads_meanwhile)
{
    PGconn *forum = session_open(s->pg);
    long long first = stage_watch(s, 1, 7, false);
    stage_watch(s, 1, 7, false);
    int verdict = JOBQ_SNOOZE;

    /* On a machine too slow for the job's lock_timeout it ends in SNOOZE: set the scene again. */
    for (int i = 0; verdict == JOBQ_SNOOZE && i < 10; i++) {
        session_do(forum, "BEGIN");
        session_do(forum,
                   "UPDATE misago_notifications_watchedthread SET %s = now() WHERE id = %lld",
                   s->words->read, first);
        verdict = background_beside(forum, s->handler, s->pg, DEDUPE, "{\"thread_id\":1}");
    }
    cr_assert_eq(verdict, JOBQ_DONE, "%s", s->handler->text);
    cr_assert_eq(pg_int(s->pg, "SELECT min(id) FROM misago_notifications_watchedthread"), first);
    cr_assert_eq(pg_int(s->pg, "SELECT count(*) FROM misago_notifications_watchedthread"), 1);
    PQfinish(forum);
}
