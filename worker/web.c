/* SPDX-License-Identifier: MIT */
#include "worker/web.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "config/config.h"
#include "worker/http.h"
#include "worker/metrics.h"
#include "worker/state.h"

#define AGAIN_MS 5000

struct web {
    struct http *http; /* NULL: off, or not to be had */
    struct http_address wanted;
    int64_t again_ms;  /* when to try to listen */
    char trouble[256]; /* as it was said last */
};

static int answer(void *ctx, const char *path, struct buf *body)
{
    struct supervisor *s = ctx;
    if (strcmp(path, "/metrics") == 0) {
        metrics_write(s, body);
        return 200;
    }
    if (strcmp(path, "/healthz") == 0) {
        buf_append_str(body, "alive\n");
        return 200;
    }
    if (strcmp(path, "/readyz") == 0) {
        if (s->ready)
            buf_append_str(body, "ready\n");
        else
            buf_appendf(body, "not ready: %s\n", s->why_not[0] ? s->why_not : "starting");
        return s->ready ? 200 : 503;
    }
    buf_append_str(body, "/metrics /healthz /readyz\n");
    return strcmp(path, "/") == 0 ? 200 : 404;
}

static void listen_if_due(struct supervisor *s, int64_t now)
{
    struct web *w = s->web;
    jobq_err err;
    if (w->http || !w->wanted.len || now < w->again_ms)
        return;
    if (http_new(s->loop, &w->wanted, answer, s, &w->http, &err) == JOBQ_OK) {
        w->trouble[0] = '\0';
        log_event(LOG_INFO, "http.listening", LOG_STR("address", w->wanted.shown), LOG_END);
        return;
    }
    w->again_ms = now + AGAIN_MS;
    if (strcmp(w->trouble, err.msg) != 0)
        log_event(LOG_WARN, "http.unavailable", LOG_STR("error", err.msg),
                  LOG_STR("hint", "jobs are worked on all the same; it is tried again; option http "
                                  "names another address, or off"),
                  LOG_END);
    snprintf(w->trouble, sizeof(w->trouble), "%s", err.msg);
}

int web_start(struct supervisor *s, jobq_err *err)
{
    s->web = mem_zalloc(1, sizeof(*s->web));
    if (!s->web)
        return error_set(err, JOBQ_ENOMEM, "out of memory");
    web_configure(s);
    return JOBQ_OK;
}

void web_configure(struct supervisor *s)
{
    struct web *w = s->web;
    const struct http_address *wanted = &s->config->http;
    bool same = strcmp(w->wanted.shown, wanted->shown) == 0;
    if (same && (w->http || !wanted->len))
        return;
    if (!same) {
        http_free(w->http);
        w->http = NULL;
        w->trouble[0] = '\0';
    }
    w->wanted = *wanted;
    w->again_ms = 0;
    listen_if_due(s, loop_now(s->loop));
}

void web_stop(struct supervisor *s)
{
    if (!s->web)
        return;
    http_free(s->web->http);
    mem_free(s->web);
    s->web = NULL;
}

int64_t web_run(struct supervisor *s, int64_t now_ms)
{
    struct web *w = s->web;
    listen_if_due(s, now_ms);
    if (!w->wanted.len)
        return INT64_MAX;
    return w->http ? http_run(w->http, now_ms) : w->again_ms;
}
