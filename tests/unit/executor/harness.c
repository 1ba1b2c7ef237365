/* SPDX-License-Identifier: MIT */
#include "tests/unit/executor/harness.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "broker/codec.h"
#include "tests/support/support.h"

#define PATIENCE_MS 30000

static void must(bool ok, const char *what)
{
    if (!ok)
        fail_test("%s: %s", what, strerror(errno));
}

/* ---- start ---- */

static void launch(struct rig *r, int theirs, int page_fd, const char *const *env)
{
    const int fds[][2] = {
        {STDERR_FILENO, STDERR_FILENO}, {theirs, FRAME_SOCKET_FD}, {page_fd, FRAME_PAGE_FD}};
    const char *argv[] = {"jobq-executor", NULL};
    const char *all[16] = {
        fmt("ASAN_OPTIONS=handle_segv=0:exitcode=99:log_path=%s/sanitizer", tmp_dir()),
        fmt("UBSAN_OPTIONS=exitcode=99:log_path=%s/sanitizer", tmp_dir()), "PATH=/usr/bin:/bin"};
    size_t n = 3;
    jobq_err err;

    for (; env != NULL && *env != NULL && n + 1 < ARRAY_LEN(all); env++)
        all[n++] = *env;
    struct child_spec spec = {.path = bin_path("jobq-executor"),
                              .argv = argv,
                              .env = all,
                              .fds = fds,
                              .fd_count = ARRAY_LEN(fds)};
    if (child_start(&spec, &r->child, &err) != JOBQ_OK)
        fail_test("%s", err.msg);
}

struct rig *rig_start_bare(const char *const *env)
{
    struct rig *r = calloc(1, sizeof(*r));
    int pair[2], page_fd;

    must(r != NULL, "calloc");
    buf_init(&r->in, 2 * FRAME_MAX);
    r->pg = -1;
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
    page_fd = memfd_create("page", MFD_CLOEXEC);
    must(page_fd >= 0 && ftruncate(page_fd, sizeof(*r->page)) == 0, "memfd");
    r->page = mmap(NULL, sizeof(*r->page), PROT_READ | PROT_WRITE, MAP_SHARED, page_fd, 0);
    must(r->page != MAP_FAILED, "mmap");
    r->fd = pair[0];
    launch(r, pair[1], page_fd, env);
    close(pair[1]);
    close(page_fd);
    return r;
}

static size_t count(const char *const *list)
{
    size_t n = 0;

    while (list != NULL && list[n] != NULL)
        n++;
    return n;
}

static bool is_started(struct rig *r)
{
    return r->ready;
}

struct rig *rig_start(const char *const *config, const char *const *modules, const char *const *env)
{
    struct rig *r = rig_start_bare(env);
    struct buf b;

    buf_init(&b, FRAME_MAX);
    frame_put_strings(&b, FRAME_CONFIG, config, count(config));
    frame_put_strings(&b, FRAME_START, modules, count(modules));
    rig_send(r, b.data, b.len);
    buf_done(&b);
    rig_wait(r, is_started);
    return r;
}

void rig_free(struct rig *r)
{
    if (r->child.pid > 0) {
        child_signal_group(&r->child, SIGKILL);
        kill(r->child.pid, SIGKILL);
        waitpid(r->child.pid, NULL, 0);
        close(r->child.pidfd);
    }
    close(r->fd);
    munmap(r->page, sizeof(*r->page));
    buf_done(&r->in);
    free(r);
}

/* ---- sending ---- */

void rig_send(struct rig *r, const void *bytes, size_t len)
{
    const char *at = bytes;

    while (len > 0) {
        ssize_t n = send(r->fd, at, len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return; /* it ended: seen when waiting */
        at += n;
        len -= (size_t)n;
    }
}

void rig_send_kind(struct rig *r, enum frame_kind kind)
{
    struct buf b;

    buf_init(&b, 64);
    frame_put(&b, kind, 0, NULL, 0);
    rig_send(r, b.data, b.len);
    buf_done(&b);
}

uint32_t rig_put(struct buf *b, struct rig *r, const struct rig_job *job)
{
    const char *payload = job->payload != NULL ? job->payload : "{}";
    struct job_header h = {.attempts = (uint16_t)job->attempts,
                           .releases = (uint16_t)job->releases,
                           .type = job->type,
                           .type_len = strlen(job->type)};
    uint32_t seq = ++r->last_seq;
    struct frame_job f = {.soft_ms = job->soft_ms ? job->soft_ms : 60000,
                          .hard_ms = job->hard_ms ? job->hard_ms : 70000,
                          .max_attempts = 10,
                          .enqueued_ms = 1700000000000};
    struct buf head;
    jobq_err err;

    must(seq < RIG_JOBS, "too many jobs in one test");
    if (job->id != NULL)
        h.id = *job->id;
    else if (jobq_id_new(&h.id, &err) != JOBQ_OK)
        fail_test("%s", err.msg);
    r->ids[seq] = h.id;
    buf_init(&head, CODEC_HEADER_MAX);
    codec_encode(&h, &head);
    f.queue = (struct frame_str){"default", 7};
    f.h = (struct frame_str){head.data, head.len};
    f.p = (struct frame_str){payload, job->payload_len ? job->payload_len : strlen(payload)};
    frame_put_job(b, seq, &f);
    buf_done(&head);
    return seq;
}

uint32_t rig_give(struct rig *r, const struct rig_job *job)
{
    struct buf b;
    uint32_t seq;

    buf_init(&b, FRAME_MAX + 64);
    seq = rig_put(&b, r, job);
    rig_send(r, b.data, b.len);
    buf_done(&b);
    return seq;
}

/* ---- reading ---- */

static void append(char *out, size_t out_size, struct frame_str s, const char *end)
{
    size_t len = strlen(out);

    snprintf(out + len, out_size - len, "%.*s%s", (int)s.len, s.bytes, end);
}

static void take_child(struct said *s, const struct frame *f)
{
    struct frame_child c;

    if (frame_get_child(f, &c) != JOBQ_OK)
        fail_test("malformed child");
    if (s->children < RIG_CHILDREN)
        memcpy(s->child_ids[s->children].bytes, c.id, 16);
    s->children++;
    s->last_child[0] = '\0';
    append(s->last_child, sizeof(s->last_child), c.type, " ");
    append(s->last_child, sizeof(s->last_child), c.queue, " ");
    append(s->last_child, sizeof(s->last_child), c.p, "");
}

static void take_ready(struct rig *r, const struct frame *f)
{
    struct frame_type t;
    size_t at = 0;
    int rc;

    while ((rc = frame_get_ready(f, &at, &t)) == JOBQ_OK) {
        append(r->type_list, sizeof(r->type_list), t.name, fmt("/%u ", t.flags));
        r->types++;
    }
    if (rc != JOBQ_ENOTFOUND)
        fail_test("malformed READY");
    r->ready = true;
}

static void take_outcome(struct said *s, const struct frame *f)
{
    struct frame_outcome o;

    if (frame_get_outcome(f, &o) != JOBQ_OK || s->told)
        fail_test("malformed outcome, or a second one");
    s->told = true;
    s->verdict = (enum frame_verdict)o.verdict;
    s->delay_ms = o.delay_ms;
    append(s->text, sizeof(s->text), o.text, "");
}

static void take(struct rig *r, const struct frame *f)
{
    struct said *s = &r->said[f->seq % RIG_JOBS];
    struct frame_str text;
    uint8_t first;

    if (f->seq > r->last_seq)
        fail_test("a frame of job %u, which was never handed over", f->seq);
    if (f->seq != 0 && f->seq <= r->finished && f->kind != FRAME_LOG)
        fail_test("a frame of job %u came after it was done", f->seq);
    switch (f->kind) {
    case FRAME_READY:
        take_ready(r, f);
        return;
    case FRAME_IDLE:
        r->idles++;
        return;
    case FRAME_OUTCOME:
        take_outcome(s, f);
        return;
    case FRAME_CHILD:
        take_child(s, f);
        return;
    case FRAME_PROGRESS:
        s->percent = f->body[0];
        return;
    case FRAME_LOG:
        if (frame_get_text(f, &first, &text) != JOBQ_OK)
            fail_test("malformed log");
        append(f->seq ? s->log : r->log, f->seq ? sizeof(s->log) : sizeof(r->log), text, "\n");
        return;
    case FRAME_RESULT:
    case FRAME_FAILED:
        if (frame_get_string(f, &text) != JOBQ_OK)
            fail_test("malformed text");
        append(f->kind == FRAME_RESULT ? s->result : r->failed,
               f->kind == FRAME_RESULT ? sizeof(s->result) : sizeof(r->failed), text, "");
        return;
    case FRAME_PG:
        if (frame_get_text(f, &first, &text) != JOBQ_OK)
            fail_test("malformed state of the database");
        r->pg = first;
        r->pg_text[0] = '\0';
        append(r->pg_text, sizeof(r->pg_text), text, "");
        return;
    default:
        fail_test("a frame of kind %d from the executor", (int)f->kind);
    }
}

static void take_all(struct rig *r)
{
    size_t used, at = 0;
    struct frame f;
    jobq_err err;

    for (;; at += used) {
        if (r->in.len == at)
            break;
        if (frame_next(r->in.data + at, r->in.len - at, &f, &used, &err) != JOBQ_OK)
            fail_test("not the protocol: %s", err.msg);
        if (used == 0)
            break;
        take(r, &f);
    }
    buf_consume(&r->in, at);
}

static void read_some(struct rig *r)
{
    uint32_t done = frame_page_done(r->page);

    for (;;) {
        void *room = buf_reserve(&r->in, 65536);
        ssize_t n;

        must(room != NULL, "memory");
        n = recv(r->fd, room, 65536, MSG_DONTWAIT);
        if (n <= 0)
            break;
        r->in.len += (size_t)n;
        take_all(r);
    }
    r->finished = done;
}

static void look_for_its_end(struct rig *r)
{
    pid_t pid = waitpid(r->child.pid, &r->status, WNOHANG);

    if (pid != r->child.pid)
        return;
    read_some(r);
    r->ended = true;
    r->child.pid = 0;
    close(r->child.pidfd);
}

void rig_wait(struct rig *r, bool (*condition)(struct rig *r))
{
    int64_t deadline = now_ms() + patience_ms(PATIENCE_MS);

    for (;;) {
        struct pollfd fds[2] = {{.fd = r->fd, .events = POLLIN},
                                {.fd = r->child.pidfd, .events = POLLIN}};

        read_some(r);
        if (condition(r) || r->ended)
            return;
        if (now_ms() >= deadline)
            fail_test("the executor does not do what is waited for; its log: %s", r->log);
        if (poll(fds, 2, 50) > 0 && fds[1].revents != 0)
            look_for_its_end(r);
    }
}

bool rig_is_idle(struct rig *r)
{
    return r->idles > r->idles_seen;
}

bool rig_has_ended(struct rig *r)
{
    return r->ended;
}

const struct said *rig_run_job(struct rig *r, const struct rig_job *job)
{
    uint32_t seq;

    r->idles_seen = r->idles;
    seq = rig_give(r, job);
    rig_wait(r, rig_is_idle);
    if (!r->ended && frame_page_done(r->page) != seq)
        fail_test("idle, and job %u is not done", seq);
    return &r->said[seq];
}

const struct said *rig_run(struct rig *r, const char *type, const char *payload)
{
    return rig_run_job(r, &(struct rig_job){.type = type, .payload = payload});
}

int rig_drain(struct rig *r)
{
    rig_send_kind(r, FRAME_DRAIN);
    rig_wait(r, rig_has_ended);
    return WIFEXITED(r->status) ? WEXITSTATUS(r->status) : 128 + WTERMSIG(r->status);
}

void rig_expect(const struct said *s, enum frame_verdict verdict, const char *text)
{
    if (s->verdict != verdict || (text != NULL && strstr(s->text, text) == NULL))
        fail_test("verdict %d, text \"%s\"; expected %d, \"%s\"", (int)s->verdict, s->text,
                  (int)verdict, text != NULL ? text : "(any)");
}
