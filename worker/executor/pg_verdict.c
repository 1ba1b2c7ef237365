/* SPDX-License-Identifier: MIT */
/*
 * pg_verdict: what an error of PostgreSQL means for the job that met it. See pg_job.h. Single
 * thread.
 *
 * A handler's own answer gives way to the cause only where the cause says more: nobody can finish a
 * job without a database, and a conflict between transactions is nobody's failure. "Not now"
 * (SNOOZE) always stands.
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/id.h"
#include "worker/executor/pg_job.h"

/* A job whose run loses the connection again and again is suspected of being the cause. */
#define LOST_RELEASES_MAX 20u
#define HARD_MARGIN_MS 500
#define LEAST_MS 200
#define TIMEOUT_SLACK_MS 50 /* statement_timeout may fire a little early */

void pg_decide(struct verdict *v, enum frame_verdict kind, int64_t delay_ms, const char *format,
               ...)
{
    va_list args;

    v->kind = kind;
    v->delay_ms = delay_ms;
    va_start(args, format);
    (void)vsnprintf(v->text, sizeof(v->text), format, args);
    va_end(args);
}

int64_t pg_soon_ms(void)
{
    return 1000 + (int64_t)id_random_below(1000);
}

int64_t pg_deadline(const struct pg *p, int64_t ms)
{
    int64_t now = clock_mono_ms();

    /* Short of the hard limit, so that the outcome can be told; but never without a chance. */
    return MIN(now + ms, MAX(p->job.hard_ms - HARD_MARGIN_MS, now + LEAST_MS));
}

void pg_judge_lost(struct pg *p, struct verdict *v)
{
    char text[256];

    session_describe(&p->session, text, sizeof(text));
    if (v->kind == FRAME_V_SNOOZE)
        return;
    if (p->job.releases >= LOST_RELEASES_MAX)
        pg_decide(v, FRAME_V_RETRY, -1, "%s; it was given back %u times before", text,
                  p->job.releases);
    else
        pg_decide(v, FRAME_V_RELEASE, pg_soon_ms(), "%s", text);
}

bool pg_judge(struct pg *p, struct verdict *v)
{
    char text[256];

    if (v->kind == FRAME_V_SNOOZE)
        return false;
    session_describe(&p->session, text, sizeof(text));
    switch (sql_classify(p->session.state)) {
    case SQL_CONFLICT:
        pg_decide(v, FRAME_V_RETRY, -1, "%s", text);
        return true;
    case SQL_LOST:
        pg_judge_lost(p, v);
        return false;
    case SQL_READ_ONLY:
        /* Another server may be the one to write to by now. */
        session_drop(&p->session);
        pg_decide(v, FRAME_V_RELEASE, pg_soon_ms(), "%s", text);
        return false;
    case SQL_LOCKED:
    case SQL_FULL:
        pg_decide(v, FRAME_V_RELEASE, pg_soon_ms(), "%s", text);
        return false;
    case SQL_CANCELLED:
        if (clock_mono_ms() >= p->job.hard_ms - TIMEOUT_SLACK_MS)
            pg_decide(v, FRAME_V_CRASH, -1, "its SQL ran into the hard limit");
        else
            pg_decide(v, FRAME_V_RETRY, v->delay_ms, "%s", text);
        return false;
    case SQL_NO_TABLE:
    case SQL_NO_RIGHT:
    case SQL_NO_SUBJECT:
    case SQL_OTHER:
        break;
    }
    if (v->kind == FRAME_V_DONE)
        pg_decide(v, FRAME_V_RETRY, -1, "the handler said done, but its transaction had failed: %s",
                  text);
    else if (v->text[0] == '\0')
        (void)snprintf(v->text, sizeof(v->text), "%s", text);
    return false;
}
