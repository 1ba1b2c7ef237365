/* SPDX-License-Identifier: MIT */
/*
 * cmd_top: jobctl top: looks again and again, and draws what it saw. A Redis that is gone leaves
 * the old picture there, with why; the terminal is given back however it ends.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin/jobctl/command.h"
#include "admin/jobctl/commands.h"
#include "admin/jobctl/session.h"
#include "admin/jobctl/signals.h"
#include "admin/jobctl/term.h"
#include "admin/jobctl/top_frame.h"
#include "admin/jobctl/top_model.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"

#define FRAME_MAX ((size_t)4 * 1024 * 1024)
#define INTERVAL_MS 2000
#define LOOK_MAX_MS 3000 /* keys wait no longer for a Redis that does not answer */

struct top {
    struct session *s;
    const char *queue;
    struct signals signals;
    struct top_view view;
    json_t *model;
    jobq_err fault;
    char every[32];
    int64_t interval_ms, next_ms;
    int stopped; /* by this signal */
    bool quit;
};

static int look(struct top *t, int64_t timeout_ms, jobq_err *err)
{
    json_t *model = NULL;
    t->s->deadline_ms = clock_mono_ms() + timeout_ms;
    int rc = top_model_read(t->s, t->queue, &model, err);
    if (rc != JOBQ_OK) {
        session_drop_redis(t->s);
        return rc;
    }
    json_decref(t->model);
    t->model = model;
    return JOBQ_OK;
}

/* ---- once ---- */

static int show_once(struct top *t, jobq_err *err)
{
    struct session *s = t->s;
    struct buf b;
    unsigned ignored;
    int rc = look(t, s->timeout_ms, err);
    if (rc != JOBQ_OK)
        return rc;
    if (s->out.json) {
        json_t *model = t->model;
        t->model = NULL;
        return out_show(&s->out, model, NULL, 0, err);
    }
    term_size(STDOUT_FILENO, &t->view.columns, &ignored);
    buf_init(&b, FRAME_MAX);
    top_frame(&b, t->model, &t->view);
    if (b.failed)
        rc = error_set(err, JOBQ_ENOMEM, "no memory for the picture");
    else if (fwrite(b.data, 1, b.len, s->out.file) != b.len || fflush(s->out.file) != 0)
        rc = error_set(err, JOBQ_EREJECTED, "cannot write the picture: %m");
    buf_done(&b);
    return rc;
}

/* ---- live ---- */

/* One write, which terminals that can show at once (mode 2026). A line is cleared before its text:
 * behind it the last column may be the text's own. */
static bool draw(struct top *t)
{
    struct buf frame, b;
    t->view.fault = t->fault.msg[0] != '\0' ? t->fault.msg : NULL;
    term_size(STDOUT_FILENO, &t->view.columns, &t->view.lines);
    buf_init(&frame, FRAME_MAX);
    buf_init(&b, FRAME_MAX);
    top_frame(&frame, t->model, &t->view);
    buf_append_str(&b, "\033[?2026h\033[H");
    size_t line = 0;
    for (const char *at = frame.data; at != NULL && *at != '\0' && line < t->view.lines; line++) {
        const char *end = strchr(at, '\n');
        buf_append_str(&b, line > 0 ? "\r\n\033[K" : "\033[K");
        buf_append(&b, at, (size_t)(end - at));
        at = end + 1;
    }
    buf_append_str(&b, "\033[?2026l");
    bool drawn = frame.failed || b.failed || term_write(b.data, b.len);
    buf_done(&frame);
    buf_done(&b);
    return drawn;
}

static void sort_by(struct top *t, long order)
{
    long count = 0;
    while (top_order_name((size_t)count) != NULL)
        count++;
    t->view.sort = (size_t)((order + count) % count);
}

static void take_key(struct top *t, char key)
{
    struct top_view *v = &t->view;
    size_t queues = json_array_size(json_object_get(t->model, "queues"));
    int order = top_order_of_key(key);
    if (key == 'q' || key == 'Q')
        t->quit = true;
    else if (key == 'p' || key == ' ')
        v->paused = !v->paused;
    else if (key == 'h' || key == '?')
        v->help = !v->help;
    else if (key == 's' || key == 'S')
        sort_by(t, (long)v->sort + (key == 's' ? 1 : -1));
    else if (key == 'R')
        v->reversed = !v->reversed;
    else if (key == 'j')
        v->scroll = MIN(v->scroll + 1, queues);
    else if (key == 'k')
        v->scroll -= v->scroll > 0;
    else if (key == '\r' || key == '\n')
        t->next_ms = 0;
    else if (order >= 0)
        sort_by(t, order);
}

/* Gives the terminal back while we are stopped. */
static int stop_for_a_while(jobq_err *err)
{
    term_leave();
    (void)raise(SIGSTOP);
    return term_enter(err);
}

static int take_signal(struct top *t, int number, jobq_err *err)
{
    if (number == SIGTSTP)
        return stop_for_a_while(err);
    if (number != 0 && number != SIGWINCH && number != SIGCONT)
        t->stopped = number;
    return JOBQ_OK;
}

static int live_turn(struct top *t, jobq_err *err)
{
    char keys[64];
    short ready;
    int64_t now = clock_mono_ms();
    if (now >= t->next_ms && !t->view.paused) {
        t->fault = (jobq_err){0};
        (void)look(t, MIN(t->s->timeout_ms, (int64_t)LOOK_MAX_MS), &t->fault);
        now = clock_mono_ms();
        t->next_ms = now + t->interval_ms;
    }
    if (!draw(t))
        return error_set(err, JOBQ_EREJECTED, "the terminal is gone");
    int64_t wait = t->view.paused ? INT64_C(3600000) : t->next_ms - now;
    int number = signals_wait(&t->signals, STDIN_FILENO, POLLIN, wait, &ready);
    int n = ready != 0 ? term_keys(keys, sizeof(keys)) : 0;
    if (n < 0 || (n == 0 && (ready & (POLLHUP | POLLERR)) != 0))
        return error_set(err, JOBQ_EREJECTED, "the terminal is gone");
    for (int i = 0; i < n; i++)
        take_key(t, keys[i]);
    return take_signal(t, number, err);
}

static int show_live(struct top *t, jobq_err *err)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH, 0};
    int rc = look(t, t->s->timeout_ms, err);
    if (rc == JOBQ_OK)
        rc = signals_open(&t->signals, numbers, err);
    if (rc == JOBQ_OK)
        rc = term_enter(err);
    t->next_ms = clock_mono_ms() + t->interval_ms;
    while (rc == JOBQ_OK && !t->quit && t->stopped == 0)
        rc = live_turn(t, err);
    term_leave();
    signals_close(&t->signals);
    if (t->stopped != 0) {
        t->s->status = 128 + t->stopped;
        rc = JOBQ_ESTATE;
    }
    return rc;
}

int cmd_top(struct session *s, const struct args *a, jobq_err *err)
{
    struct top t = {.s = s, .queue = args_value(a, "queue"), .signals = {.fd = -1}};
    const char *order = args_value(a, "sort");
    bool once = args_has(a, "once");
    t.interval_ms = INTERVAL_MS;
    t.view.colour = s->out.colour;
    t.view.sort = (size_t)top_order_of_name(order != NULL ? order : "waiting");
    t.view.reversed = args_has(a, "reverse");
    int rc = args_duration(a, "interval", 100, INT64_C(3600000), &t.interval_ms, err);
    if (rc != JOBQ_OK)
        return rc;
    text_format_duration(t.interval_ms, t.every, sizeof(t.every));
    t.view.every = once ? NULL : t.every;
    if (once)
        rc = show_once(&t, err);
    else if (s->out.json)
        rc = error_set(err, JOBQ_EINVAL, "top --json needs --once");
    else if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        rc = error_set(err, JOBQ_EINVAL, "top needs a terminal; --once prints one picture");
    else
        rc = show_live(&t, err);
    json_decref(t.model);
    return rc;
}
