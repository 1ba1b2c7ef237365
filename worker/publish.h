/* SPDX-License-Identifier: MIT */
/*
 * publish: what this jobd says of itself to those who look (docs/protocol.md, "What jobd
 * publishes"): a document with the beats, durations once a second, events while somebody listens.
 *
 * All of it is best effort: what cannot be sent is dropped, and no answer changes anything. Lives
 * as long as the supervisor. Single thread; never blocks.
 */
#ifndef WORKER_PUBLISH_H
#define WORKER_PUBLISH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "base/buf.h"
#include "broker/publish.h"

struct job;
struct shard;
struct supervisor;

#define PUBLISH_SLOTS 12 /* the last minute */
#define PUBLISH_SLOT_MS 5000

/* Part of a shard. */
struct shard_published {
    struct publish_times times; /* not yet sent */
    bool heard;                 /* somebody is subscribed to its events */
    struct buf events;          /* lines not yet sent; no memory before the first */
    uint64_t skipped;           /* events left out since the last message */
    int64_t info_due_ms;
    uint64_t info_hash; /* of what was sent last; 0: nothing */
};

/* What came to an end in a few seconds. */
struct publish_slot {
    int64_t number; /* monotonic time / PUBLISH_SLOT_MS */
    int64_t succeeded, failed, runs, run_us, wait_us;
};

/* Part of the supervisor. */
struct published {
    int64_t due_ms;   /* the next look for listeners, the next durations */
    int64_t flush_ms; /* when events are sent; 0: none wait */
    int64_t since_ms; /* when this jobd started, by Redis's clock; 0: not known yet */
    bool asking;
    int64_t second; /* the one that allowed counts */
    unsigned events_in_second;
    struct publish_slot slots[PUBLISH_SLOTS];
    struct publish_slot *slot; /* that of slot_ms; NULL: none was asked for yet */
    int64_t slot_ms;
    struct buf text; /* the document being made */
};

/* When the command connection is up, at the end of a turn: sends what is due. */
void publish_run(struct supervisor *s, int64_t now_ms);
int64_t publish_due_ms(const struct supervisor *s);
/* The connection broke: nobody is known to listen. */
void publish_down(struct supervisor *s);
/* The document to send with the next beat; NULL: nothing new. Valid until the next call. */
const char *publish_info(struct shard *shard, int64_t now_ms, size_t *len);
void publish_free(struct supervisor *s);
struct publish_slot *publish_slot_now(struct supervisor *s);

/* ---- publish_events.c ---- */
/* Of a job. word: what happened. reason, text: NULL, or why. */
struct publish_event {
    const char *word;
    const char *reason;
    const char *text;
    size_t text_len;
    int64_t wait_ms, run_ms, delay_ms; /* -1: absent */
};
void publish_job_event(const struct job *j, const struct publish_event *e);
/* Of a partition: jobs that were moved. victim: of whom, or NULL. */
void publish_shard_event(struct shard *shard, const char *word, const char *victim, int64_t jobs);
/* Sends the lines that wait. */
void publish_flush_events(struct supervisor *s);

#endif
