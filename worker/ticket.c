/* SPDX-License-Identifier: MIT */
#include "worker/ticket.h"

#include "base/loop.h"
#include "base/mem.h"
#include "base/trouble.h"

struct ticket *ticket_new(struct shard *shard)
{
    struct ticket *t = mem_zalloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->shard = shard;
    t->generation = shard->sup->generation;
    t->sent_ms = loop_now(shard->sup->loop);
    return t;
}

bool ticket_is_current(const struct ticket *t)
{
    return t->generation == t->shard->sup->generation;
}

struct buf *ticket_out(struct shard *shard)
{
    return link_out(shard->sup->command);
}

void ticket_expect(struct shard *shard, link_reply_fn fn, struct ticket *t)
{
    link_expect(shard->sup->command, fn, shard->sup, t);
}

int64_t ticket_now(const struct shard *shard)
{
    return loop_now(shard->sup->loop);
}

bool ticket_accept(struct supervisor *s, const struct redisReply *r, int rc, const char *what,
                   const jobq_err *err)
{
    if (rc == JOBQ_OK || rc == JOBQ_ESTATE)
        return true;
    if (rc == JOBQ_EFENCED)
        supervisor_fenced(s, what);
    else if (!supervisor_judge(s, r))
        trouble_event(LOG_ERROR, "redis.unexpected", 2, LOG_STR("answer_to", what),
                      LOG_STR("error", err->msg), LOG_END);
    return false;
}
