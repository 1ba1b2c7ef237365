/* SPDX-License-Identifier: MIT */
/*
 * notify: tells a forum's users what happened in the threads they watch.
 *
 *   notify.reply           {"post_id"}                              reply.c
 *   notify.private_thread  {"actor_id", "thread_id", "members"}     private_thread.c
 *   notify.dedupe_watched  {"thread_id"}                            dedupe.c
 *
 * All run inside the runtime's transaction: notifications, counters of unread ones, the record that
 * the job is done and the mails that go out are committed together. A handful of statements,
 * whatever the number of users.
 */
#include <stdlib.h>

#include "worker/handlers/notify/work.h"

static int start(const jobq_host *host, void **state)
{
    *state = calloc(1, sizeof(struct state));
    if (!*state) {
        host->log(host->ctx, JOBQ_LOG_ERROR, "notify: out of memory");
        return -1;
    }
    return 0;
}

static const jobq_handler handlers[] = {
    {"notify.reply", notify_reply, JOBQ_HANDLER_TRANSACTIONAL},
    {"notify.private_thread", notify_private_thread, JOBQ_HANDLER_TRANSACTIONAL},
    {"notify.dedupe_watched", notify_dedupe, JOBQ_HANDLER_TRANSACTIONAL},
    {NULL, NULL, 0},
};

const jobq_module jobq_module_v1 = {
    .size = sizeof(jobq_module),
    .name = "notify",
    .handlers = handlers,
    .start = start,
    .stop = free,
};
