/* SPDX-License-Identifier: MIT */
/*
 * pool_private: what the files of the pool share (pool*.c, executor_*.c): the side that the
 * supervisor sees of one executor process.
 */
#ifndef WORKER_POOL_PRIVATE_H
#define WORKER_POOL_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/child.h"
#include "base/list.h"
#include "worker/frame.h"
#include "worker/pool.h"

enum executor_state {
    EXECUTOR_STARTING, /* until FRAME_READY */
    EXECUTOR_READY,
    EXECUTOR_RETIRING, /* gets nothing more; leaves when it holds nothing */
    EXECUTOR_DEAD,
};

struct executor {
    struct list node;
    struct pool *pool;
    void *ctx; /* the supervisor's */
    enum executor_state state;
    bool worn;            /* to be replaced once its successor is ready */
    bool unheard;         /* something it said is lost: of what it did only the database knows */
    bool database_down;   /* it says so */
    bool disowned;        /* killed, its jobs are nobody's: only to be reaped */
    struct child process; /* pid 0: reaped */
    int pid;              /* for logs, also afterwards */
    int socket;
    struct frame_page *page;
    struct loop_io *io;
    struct loop_io *pid_io;
    struct buf in, out;
    bool unflushed;
    struct list handed; /* jobs by ascending seq */
    unsigned held;
    uint32_t last_handed;
    uint32_t done;
    bool running;
    int64_t started_ms;
    uint32_t asked_seq; /* the job whose soft limit was told */
    int64_t jobs_run;
    int64_t memory_bytes; /* its own, at the last look */
    int64_t born_ms;
    int64_t goodbye_ms; /* 0: not yet told to exit */
    char why[128];      /* why we killed it; empty: it died by itself */
    char said[224];     /* FRAME_FAILED */
};

struct pool {
    struct loop *loop;
    const struct worker_config *config;
    struct pool_hooks hooks;
    struct list executors;
    size_t alive;
    int cells_fd; /* what executors share (worker/cells.h) */
    int nice;     /* how much nicer than jobd they are */
    struct loop_timer *tick;
    int64_t tick_ms;
    struct loop_timer *respawn;
    int64_t memory_due_ms;
    int64_t pause_ms; /* before the next start */
    bool draining;
    bool unflushed;
    bool ever_ready;
    bool said_failed;
    unsigned start_deaths;
    int64_t first_start_death_ms;
    struct pool_counts counts;
};

/* ---- executor_process.c ---- */
MUST_CHECK int executor_start(struct pool *p, jobq_err *err);
void executor_free(struct executor *x);

/* ---- executor_limits.c ---- */
/* The running job: SIGTERM at its soft limit, SIGKILL at its hard one. */
void executor_enforce_limits(struct executor *x, int64_t now_ms);
/* One that has used up its jobs or its memory gets a successor. */
void executor_recycle_worn(struct pool *p, struct executor *x, bool look_at_memory);
/* One that was started with other settings than those in force gets a successor. */
void executor_outdate(struct pool *p, struct executor *x);
/* One that retires and holds nothing is told to exit, and made to. */
void executor_dismiss_idle(struct executor *x, int64_t now_ms);

/* ---- executor_frames.c ---- */
/* Reads all that is there; false when the executor had to be killed for what it said. */
bool executor_read_frames(struct pool *p, struct executor *x);
/* Writes what can be written; the rest follows when the socket takes it. */
void executor_flush(struct executor *x);

/* ---- pool.c ---- */
void pool_kill_executor(struct executor *x, const char *why);
void pool_check_page(struct pool *p, struct executor *x);
/* It is dead: what it did counts, the job it ran has crashed, the rest goes back. */
void pool_settle(struct pool *p, struct executor *x, const char *why);

/* ---- pool_staff.c ---- */
/* It has ended and is reaped: settles what it held, frees it. */
void pool_bury(struct pool *p, struct executor *x, int wait_status);
void pool_executor_ready(struct pool *p, struct executor *x);
void pool_start_missing(struct pool *p);
void pool_respawn(void *ctx, int64_t now_ms); /* the timer's */

#endif
