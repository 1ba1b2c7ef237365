/* SPDX-License-Identifier: MIT */
/*
 * frame: what supervisor and executor say to each other over their socketpair, and the page of
 * memory they share.
 *
 * A frame is length u32 (bytes after it) · kind u8 · seq u32 · body; little-endian; see each struct
 * for the body: strings are length u32 + bytes. The supervisor never trusts an executor: lengths,
 * kinds, order and texts are checked, and whatever is malformed ends that executor only.
 *
 * The page makes the common case free: an executor starts and finishes jobs by atomic stores, and
 * sends a frame only for what differs from a plain "done", and one FRAME_IDLE when it has nothing
 * left. Since it lives in shared memory it survives the executor: after a crash it tells exactly
 * which job ran.
 *
 *   started_recalled  high 32 bits: seq of the last job started; low 32: seqs up to this one that
 *                     had not started then are void. The executor starts n with a compare-and-swap
 *                     that fails once n <= recalled; so the supervisor takes jobs back from behind
 *                     a long one without a word.
 *   done              seq of the last job finished (its frames, if any, were sent before)
 *   started_ms        CLOCK_MONOTONIC ms of the last start
 *   run_us[seq % N]   duration of that job
 */
#ifndef WORKER_FRAME_H
#define WORKER_FRAME_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jobq/error.h>

#include "base/base.h"

struct buf;

#define FRAME_MAX                                                                                  \
    ((size_t)24 * 1024 * 1024) /* payload hard limit plus headers, or a job's                      \
                                * children */
#define FRAME_HELD_MAX 256u    /* jobs an executor may hold */
#define FRAME_SOCKET_FD 3      /* in the executor */
#define FRAME_PAGE_FD 4

struct frame_page {
    _Atomic uint64_t started_recalled;
    _Atomic uint32_t done;
    _Atomic int64_t started_ms;
    _Atomic uint32_t run_us[FRAME_HELD_MAX];
};

enum frame_kind {
    /* supervisor to executor */
    FRAME_JOB = 1,    /* struct frame_job; seqs ascend by 1, never 0 */
    FRAME_DRAIN = 2,  /* finish what you hold, then exit 0; should_stop turns true; no body */
    FRAME_SENT = 3,   /* body: 16 id bytes: the stored children of this job were sent, forget
                       * them */
    FRAME_CONFIG = 4, /* body: count u32, then key, value strings: what host->config() answers;
                       * before FRAME_START */
    FRAME_START = 5,  /* body: count u32, then module path strings: open them, then say READY */
    /* executor to supervisor */
    FRAME_READY = 32,   /* struct frame_ready (types) */
    FRAME_IDLE = 33,    /* nothing left to do; no body */
    FRAME_OUTCOME = 34, /* struct frame_outcome: before `done` reaches seq, only if not a plain DONE
                         * without text */
    FRAME_CHILD = 35,   /* struct frame_child: to be enqueued before the job is acknowledged; before
                         * `done` */
    FRAME_LOG = 36,     /* level u8, text string; seq 0: of no job */
    FRAME_RESULT = 37,  /* JSON string */
    FRAME_PROGRESS = 38, /* percent u8 */
    FRAME_FAILED = 39,   /* text string: could not start (a module, its configuration); the executor
                          * exits 78 after it */
    FRAME_PG = 40,       /* u8 1: the database answers, 0: it does not, then text string. Sent when
                          * it changes */
};

struct frame {
    enum frame_kind kind;
    uint32_t seq;
    const uint8_t *body; /* borrowed from the input */
    size_t len;
};

struct frame_str {
    const char *bytes; /* borrowed; not NUL-terminated */
    size_t len;
};

/* A job handed over. h and p as in the entry; limits in ms already resolved (job, type,
 * default). */
struct frame_job {
    uint32_t soft_ms;
    uint32_t hard_ms;
    uint32_t max_attempts;
    int64_t enqueued_ms;
    struct frame_str queue;
    struct frame_str h;
    struct frame_str p;
};

enum frame_verdict {
    FRAME_V_DONE = 0,
    FRAME_V_RETRY = 1,
    FRAME_V_SNOOZE = 2,
    FRAME_V_DEAD = 3,
    FRAME_V_RELEASE = 4, /* could not be tried (database down, lock not free): back, no budget,
                          * after delay */
    FRAME_V_CRASH = 5,   /* broke the contract (ended the runtime's transaction): counts as a
                          * crash */
};
struct frame_outcome {
    uint8_t verdict;       /* enum frame_verdict */
    int64_t delay_ms;      /* -1: not set */
    struct frame_str text; /* UTF-8, <= 1024 */
};

struct frame_child {
    uint8_t id[16];
    uint8_t lane;
    int64_t delay_ms;
    int64_t expires_ms;
    uint32_t max_attempts;
    uint32_t soft_ms;
    uint32_t hard_ms;
    struct frame_str type, queue, unique, p;
};

struct frame_type {
    struct frame_str name;
    uint32_t flags; /* enum jobq_handler_flag */
};

/* ---- writing: append to b; sticky failure in b ---- */
void frame_put(struct buf *b, enum frame_kind kind, uint32_t seq, const void *body, size_t len);
void frame_put_job(struct buf *b, uint32_t seq, const struct frame_job *job);
void frame_put_outcome(struct buf *b, uint32_t seq, const struct frame_outcome *o);
void frame_put_child(struct buf *b, uint32_t seq, const struct frame_child *c);
void frame_put_text(struct buf *b, enum frame_kind kind, uint32_t seq, uint8_t first,
                    const char *text, size_t len); /* LOG, PG */
void frame_put_string(struct buf *b, enum frame_kind kind, uint32_t seq, const char *text,
                      size_t len); /* RESULT, FAILED */
void frame_put_strings(struct buf *b, enum frame_kind kind, const char *const *strings,
                       size_t n); /* CONFIG, START: n strings */
void frame_put_ready(struct buf *b, const struct frame_type *types, size_t n);

/* ---- reading ---- */
/*
 * The next whole frame of bytes: *used is its size, 0 when more bytes are needed. JOBQ_EPROTO: not
 * a frame of ours.
 */
MUST_CHECK int frame_next(const void *bytes, size_t len, struct frame *out, size_t *used,
                          jobq_err *err);
/* All JOBQ_OK or JOBQ_EPROTO; nothing beyond the body is read; trailing bytes are an error. */
MUST_CHECK int frame_get_job(const struct frame *f, struct frame_job *out);
MUST_CHECK int frame_get_outcome(const struct frame *f, struct frame_outcome *out);
MUST_CHECK int frame_get_child(const struct frame *f, struct frame_child *out);
MUST_CHECK int frame_get_text(const struct frame *f, uint8_t *first, struct frame_str *out);
MUST_CHECK int frame_get_string(const struct frame *f, struct frame_str *out);
/* Iterates: start with *at = 0; JOBQ_ENOTFOUND at the orderly end. CONFIG, START. */
MUST_CHECK int frame_get_strings(const struct frame *f, size_t *at, struct frame_str *out);
MUST_CHECK int frame_get_ready(const struct frame *f, size_t *at, struct frame_type *out);

/* ---- the page ---- */
/* Executor: true when seq may run now (it is marked started); false when it was taken back. */
bool frame_page_start(struct frame_page *p, uint32_t seq, int64_t now_ms);
/* run_us: 1 at least. */
void frame_page_finish(struct frame_page *p, uint32_t seq, uint32_t run_us);
/* Supervisor: takes back all up to last_handed that have not started; gives the seq of the last
 * started. */
uint32_t frame_page_recall(struct frame_page *p, uint32_t last_handed);
uint32_t frame_page_started(const struct frame_page *p);
uint32_t frame_page_done(const struct frame_page *p);

#endif
