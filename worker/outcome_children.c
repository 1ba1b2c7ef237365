/* SPDX-License-Identifier: MIT */
/*
 * outcome_children: the jobs that a handler enqueued are stored before their parent is
 * acknowledged. What could not be stored is tried again, with the same ids, until it is.
 */
#include <string.h>

#include "base/loop.h"
#include "base/mem.h"
#include "broker/enqueue.h"
#include "worker/link.h"
#include "worker/observe.h"
#include "worker/pace.h"
#include "worker/pool.h"
#include "worker/state.h"

struct child_ticket {
    struct job *parent;
    struct job_child *child;
    uint64_t generation;
    struct supervisor *s;
};

static void children_settled(struct supervisor *s, struct job *j)
{
    if (j->executor && pool_has(s->pool, j->executor))
        pool_children_sent(s->pool, j->executor, j->header.id.bytes);
    outcome_succeeded(s, j);
}

static void wait_with_children(struct supervisor *s, struct job *j, int64_t pause_ms)
{
    list_remove(&j->node);
    list_push_back(&s->children_waiting, &j->node);
    s->children_due_ms = loop_now(s->loop) + pause_ms;
}

static void on_child_reply(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    struct child_ticket *t = data;
    jobq_answer answer;
    jobq_err err;
    if (t->generation != s->generation) {
        mem_free(t);
        return;
    }
    struct job *j = t->parent;
    if (r && !supervisor_judge(s, r) &&
        enqueue_reply(r, link_where(s->command), &answer, &err) == JOBQ_OK) {
        t->child->spec.size = 0; /* stored */
        observe_child(s, answer.status == JOBQ_STATUS_DUPLICATE);
        j->children_unsent--;
    }
    mem_free(t);
    if (--j->children_asked > 0)
        return;
    if (j->children_unsent == 0)
        children_settled(s, j);
    else
        wait_with_children(s, j, pace_of(r));
}

static bool send_child(struct supervisor *s, struct job *j, struct job_child *c)
{
    jobq_err err;
    const char *name = c->spec.queue;
    const struct queue *q = supervisor_queue(s, name);
    if (!q || !link_is_up(s->command))
        return false;
    const char *unique = c->spec.unique_key;
    unsigned partition = keys_partition(&c->id, unique, unique ? strlen(unique) : 0, q->partitions);
    struct child_ticket *t = mem_alloc(sizeof(*t));
    if (!t)
        return false;
    *t = (struct child_ticket){.parent = j, .child = c, .generation = s->generation, .s = s};
    if (enqueue_append(link_out(s->command), &q->shards[partition]->keys, &c->spec, &c->id, &err)) {
        mem_free(t);
        return false;
    }
    j->children_asked++;
    link_expect(s->command, on_child_reply, s, t);
    return true;
}

void outcome_send_children(struct supervisor *s, struct job *j)
{
    j->stage = JOB_CHILDREN;
    j->children_asked++; /* ours, so that an answer given at once does not settle it while we walk
                          * the list */
    for (struct job_child *c = j->children; c; c = c->next)
        if (c->spec.size && !send_child(s, j, c))
            break;
    if (--j->children_asked == 0)
        wait_with_children(s, j, RETRY_PAUSE_MS);
}

void outcome_retry_children(struct supervisor *s)
{
    if (list_is_empty(&s->children_waiting) || loop_now(s->loop) < s->children_due_ms ||
        !link_is_up(s->command))
        return;
    struct list batch;
    list_init(&batch);
    LIST_FOR_EACH (node, &s->children_waiting) {
        list_remove(node);
        list_push_back(&batch, node);
    }
    LIST_FOR_EACH (node, &batch) {
        list_remove(node);
        outcome_send_children(s, LIST_ENTRY(node, struct job, node));
    }
}
