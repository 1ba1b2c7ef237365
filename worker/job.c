/* SPDX-License-Identifier: MIT */
#include "worker/job.h"

#include <string.h>

#include "base/mem.h"

struct job *job_new(struct shard *shard, const struct claim_entry *e)
{
    size_t h_len = e->h ? e->h_len : 0;
    size_t p_len = e->p ? e->p_len : 0;
    struct job *j = mem_alloc(sizeof(*j) + h_len + p_len + 2);
    if (!j)
        return NULL;
    memset(j, 0, sizeof(*j));
    list_init(&j->node);
    list_init(&j->turn.node);
    j->shard = shard;
    j->lane = e->lane;
    j->entry = e->id;
    j->delay_ms = -1;
    char *at = j->bytes;
    if (h_len)
        memcpy(at, e->h, h_len);
    at[h_len] = '\0';
    j->h = at;
    j->h_len = h_len;
    at += h_len + 1;
    if (p_len)
        memcpy(at, e->p, p_len);
    at[p_len] = '\0';
    j->p = at;
    j->p_len = p_len;
    return j;
}

void job_free(struct job *j)
{
    if (!j)
        return;
    while (j->children) {
        struct job_child *next = j->children->next;
        mem_free(j->children);
        j->children = next;
    }
    mem_free(j->text);
    mem_free(j->new_h);
    mem_free(j);
}
