/* SPDX-License-Identifier: MIT */
/*
 * inspect_walk: the jobs of one kind in one partition, page after page, in order. A page aims at a
 * number of bytes, so that neither Redis nor the caller waits long for jobs of any size.
 *
 * What comes or goes while the walk is under way may be seen or not; what stays where it is, is
 * seen once. A walk borrows its keys; a page lives until inspect_page_done(). Blocking, within the
 * deadline of struct inspect; one thread.
 */
#ifndef BROKER_INSPECT_WALK_H
#define BROKER_INSPECT_WALK_H

#include "broker/inspect.h"

struct redisReply;

struct inspect_walk {
    const struct shard_keys *k;
    int where; /* of enum lane or enum inspect_where */
    enum inspect_state state;
    bool newest_first;
    bool ended;
    struct entry_id first, last; /* what is left of the stream, both included */
    size_t count;                /* entries of the next page */
    bool has_later;              /* INSPECT_DELAYED: goes on behind this one */
    int64_t later_due_ms;
    jobq_id later_id;
    int64_t later_skip; /* and behind so many that are no jobs */
};

/* Borrows nothing from the walk. The jobs' own reply is NULL: the page owns what they borrow. */
struct inspect_page {
    struct inspect_job *jobs;
    size_t n;
    size_t looked; /* entries read, also those that were gone */
    struct redisReply **replies;
    size_t reply_count;
};

/*
 * Begins at the oldest one. state says which: INSPECT_QUEUED, INSPECT_CLAIMED (of a lane),
 * INSPECT_DELAYED, INSPECT_IS_DEAD, INSPECT_IS_PARKED.
 */
MUST_CHECK int inspect_walk_begin(const struct inspect *in, const struct shard_keys *k, int where,
                                  enum inspect_state state, struct inspect_walk *out,
                                  jobq_err *err);
/* Narrows the walk to what is behind this place (of this partition). For a delayed job due_ms says
 * when it was due. */
void inspect_walk_after(struct inspect_walk *w, const struct inspect_place *place, int64_t due_ms);
/* Narrows the walk to what is in its stream now. */
MUST_CHECK int inspect_walk_until_now(const struct inspect *in, struct inspect_walk *w,
                                      jobq_err *err);
/* The next page of at most max jobs. page->n may be 0 before the walk has ended. Caller frees with
 * inspect_page_done(). */
MUST_CHECK int inspect_walk_next(const struct inspect *in, struct inspect_walk *w, size_t max,
                                 struct inspect_page *page, jobq_err *err);
void inspect_page_done(struct inspect_page *page); /* also of a zeroed one */

#endif
