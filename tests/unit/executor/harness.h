/* SPDX-License-Identifier: MIT */
/*
 * harness: plays jobd to one real jobq-executor, over a real socketpair and page. Every step has a
 * deadline and fails the test when it is missed. The executor dies with the test process.
 */
#ifndef TESTS_UNIT_EXECUTOR_HARNESS_H
#define TESTS_UNIT_EXECUTOR_HARNESS_H

#include <stdbool.h>
#include <stdint.h>

#include <jobq/job.h>

#include "base/buf.h"
#include "base/child.h"
#include "worker/frame.h"

#define RIG_JOBS 4096
#define RIG_CHILDREN 64

/* What one job has said. */
struct said {
    bool told;                  /* FRAME_OUTCOME came */
    enum frame_verdict verdict; /* FRAME_V_DONE when nothing was told */
    int64_t delay_ms;
    char text[1100];
    unsigned children;
    jobq_id child_ids[RIG_CHILDREN];
    char last_child[1024]; /* "type queue payload" */
    char result[1024];
    int percent;
    char log[2048]; /* its lines, each with its end */
};

struct rig {
    struct child child;
    int fd;
    struct frame_page *page;
    struct buf in;
    uint32_t last_seq;
    uint32_t finished; /* the page said so before all that was there was read */
    jobq_id ids[RIG_JOBS];
    struct said said[RIG_JOBS];
    char log[4096]; /* lines of no job */
    bool ready;
    unsigned types;
    char type_list[2048]; /* "name/flags " */
    char failed[1100];    /* text of FRAME_FAILED */
    unsigned idles;
    unsigned idles_seen;
    int pg; /* last FRAME_PG: 1, 0; -1: none */
    char pg_text[1100];
    bool ended;
    int status; /* as waitpid */
};

/* Lists are NULL-ended; config: key, value, …; any may be NULL. Starts and waits for READY or its
 * end. */
struct rig *rig_start(const char *const *config, const char *const *modules,
                      const char *const *env);
/* Only starts it; nothing is sent. */
struct rig *rig_start_bare(const char *const *env);
void rig_free(struct rig *r); /* kills it */

struct rig_job {
    const char *type;
    const char *payload; /* NULL: {} */
    size_t payload_len;  /* 0: strlen */
    const jobq_id *id;   /* NULL: a new one */
    uint32_t soft_ms;    /* 0: 60 s */
    uint32_t hard_ms;    /* 0: 70 s */
    unsigned attempts, releases;
};
/* Hands a job over; gives its seq. */
uint32_t rig_give(struct rig *r, const struct rig_job *job);
uint32_t rig_put(struct buf *b, struct rig *r, const struct rig_job *job); /* only the frame */
void rig_send(struct rig *r, const void *bytes, size_t len);
void rig_send_kind(struct rig *r, enum frame_kind kind);
/* Hands a job over and waits until nothing is left to do (or the executor ended). */
const struct said *rig_run(struct rig *r, const char *type, const char *payload);
const struct said *rig_run_job(struct rig *r, const struct rig_job *job);
/* Reads until condition is true; fails the test at the deadline, gives up when the executor ended.
 */
void rig_wait(struct rig *r, bool (*condition)(struct rig *r));
bool rig_is_idle(struct rig *r);
bool rig_has_ended(struct rig *r);
/* Sends DRAIN and gives the exit status. */
int rig_drain(struct rig *r);
/* Fails the test unless the job ended in this verdict, with this in its text (NULL: any). */
void rig_expect(const struct said *s, enum frame_verdict verdict, const char *text);

#endif
