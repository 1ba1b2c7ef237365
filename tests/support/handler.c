/* SPDX-License-Identifier: MIT */
/* handler: see handler.h. */
#include "tests/support/handler.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/support/internal.h"
#include "tests/support/support.h"

static void host_log(void *ctx, int level, const char *text)
{
    struct handler *h = ctx;
    size_t at = strlen(h->log);

    snprintf(h->log + at, sizeof(h->log) - at, "%d %s\n", level, text);
    if (level >= JOBQ_LOG_ERROR && !h->started)
        snprintf(h->text, sizeof(h->text), "%s", text);
}

static int host_should_stop(void *ctx)
{
    struct handler *h = ctx;

    return h->should_stop;
}

static void host_progress(void *ctx, int percent)
{
    (void)ctx;
    (void)percent;
}

static int host_set_result(void *ctx, const char *json, size_t len)
{
    struct handler *h = ctx;

    if (len >= sizeof(h->result))
        return -1;
    memcpy(h->result, json, len);
    h->result[len] = '\0';
    return 0;
}

static char *copy_text(const char *text, size_t len)
{
    char *copy = must_alloc(len + 1);

    if (len > 0)
        memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

static char *copy_string(const char *text)
{
    return copy_text(text, text != NULL ? strlen(text) : 0);
}

static int host_enqueue(void *ctx, const jobq_child *child)
{
    struct handler *h = ctx;
    size_t len = child->payload_len;

    if (child->size != sizeof(*child))
        return -1;
    if (len == 0 && child->payload != NULL)
        len = strlen(child->payload);
    h->children = realloc(h->children, (h->child_count + 1) * sizeof(*h->children));
    if (h->children == NULL)
        abort();
    h->children[h->child_count++] =
        (struct handler_child){.type = copy_string(child->type),
                               .payload = copy_text(child->payload, len),
                               .queue = copy_string(child->queue),
                               .key = copy_string(child->unique_key),
                               .max_attempts = child->max_attempts};
    return 0;
}

static void free_children(struct handler_child *children, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(children[i].type);
        free(children[i].payload);
        free(children[i].queue);
        free(children[i].key);
    }
    free(children);
}

static struct pg_conn *host_pg(void *ctx)
{
    struct handler *h = ctx;

    return h->conn;
}

static int host_complete(void *ctx)
{
    (void)ctx;
    return -1; /* not a manual type */
}

static void host_set_text(void *ctx, const char *text)
{
    struct handler *h = ctx;

    snprintf(h->text, sizeof(h->text), "%s", text != NULL ? text : "");
}

static void host_set_delay(void *ctx, int64_t delay_ms)
{
    struct handler *h = ctx;

    h->delay_ms = delay_ms;
}

static const char *host_config(void *ctx, const char *key)
{
    const struct handler *h = ctx;

    for (size_t i = 0; h->settings[i] != NULL; i += 2) {
        if (strcmp(h->settings[i], key) == 0)
            return h->settings[i + 1];
    }
    return NULL;
}

static uint64_t *host_cell(void *ctx, const char *name)
{
    struct handler *h = ctx;

    for (size_t i = 0; i < HANDLER_CELLS_MAX; i++) {
        if (h->cell_name[i][0] == '\0')
            snprintf(h->cell_name[i], sizeof(h->cell_name[i]), "%s", name);
        if (strcmp(h->cell_name[i], name) == 0)
            return &h->cells[i];
    }
    return NULL;
}

static void take_settings(struct handler *h, const char *const *settings)
{
    for (size_t i = 0; settings != NULL && settings[i] != NULL; i++) {
        if (i + 2 >= 2 * HANDLER_SETTINGS_MAX)
            fail_test("more than %d settings", HANDLER_SETTINGS_MAX);
        h->settings[i] = settings[i];
    }
}

static bool load(struct handler *h, const char *path)
{
    h->lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (h->lib == NULL)
        fail_test("dlopen: %s", dlerror());
    h->module = dlsym(h->lib, "jobq_module_v1");
    if (h->module == NULL || h->module->size != sizeof(jobq_module))
        fail_test("%s: no jobq_module_v1 of this size", path);
    return h->module->start == NULL || h->module->start(&h->host, &h->state) == 0;
}

struct handler *handler_try(const char *module, const char *conninfo, const char *const *settings,
                            char **why)
{
    struct handler *h = must_alloc(sizeof(*h));

    *h = (struct handler){.attempt = 1,
                          .max_attempts = 7,
                          .soft_ms = 60000,
                          .enqueued_ms = 1700000000000,
                          .delay_ms = -1};
    h->host = (jobq_host){
        .size = sizeof(jobq_host),
        .ctx = h,
        .log = host_log,
        .should_stop = host_should_stop,
        .progress = host_progress,
        .set_result = host_set_result,
        .enqueue = host_enqueue,
        .pg = host_pg,
        .complete = host_complete,
        .set_text = host_set_text,
        .set_delay = host_set_delay,
        .config = host_config,
        .cell = host_cell,
    };
    take_settings(h, settings);
    if (!load(h, lib_path(fmt("jobq/%s.so", module)))) {
        *why = strdup(h->text);
        dlclose(h->lib);
        free(h);
        return NULL;
    }
    h->started = true;
    if (conninfo != NULL) {
        h->conn = PQconnectdb(conninfo);
        if (PQstatus(h->conn) != CONNECTION_OK)
            fail_test("connect: %s", PQerrorMessage(h->conn));
    }
    return h;
}

struct handler *handler_open(const char *module, const char *conninfo, const char *const *settings)
{
    char *why = NULL;
    struct handler *h = handler_try(module, conninfo, settings, &why);

    if (h == NULL)
        fail_test("%s does not start: %s", module, why);
    return h;
}

void handler_close(struct handler *h)
{
    if (h->module->stop != NULL)
        h->module->stop(h->state);
    PQfinish(h->conn);
    dlclose(h->lib);
    free_children(h->children, h->child_count);
    free(h);
}

static bool command(PGconn *conn, const char *sql)
{
    PGresult *r = PQexec(conn, sql);
    bool ok = PQresultStatus(r) == PGRES_COMMAND_OK;

    PQclear(r);
    return ok;
}

static void end_session(struct handler *h, bool transactional, int verdict)
{
    bool ended = !transactional || command(h->conn, verdict == JOBQ_DONE ? "COMMIT" : "ROLLBACK");

    if (verdict == JOBQ_DONE && !ended)
        fail_test("COMMIT: %s", PQerrorMessage(h->conn));
    if (!h->keep_session)
        command(h->conn, "DISCARD ALL"); /* a lost connection is for the handler to meet */
}

static jobq_job_view describe(const struct handler *h, const char *type, const char *payload)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    int64_t now = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
    return (jobq_job_view){
        .size = sizeof(jobq_job_view),
        .id = "01900000-0000-7000-8000-000000000001",
        .type = type,
        .queue = "default",
        .payload = payload,
        .payload_len = strlen(payload),
        .attempt = h->attempt,
        .max_attempts = h->max_attempts,
        .soft_ms = now + h->soft_ms,
        .hard_ms = now + h->soft_ms + 10000,
        .enqueued_ms = h->enqueued_ms,
    };
}

int handler_run(struct handler *h, const char *type, const char *payload)
{
    const jobq_handler *row = h->module->handlers;
    struct handler_child *last = h->children; /* the payload may be one of theirs */
    size_t last_count = h->child_count;
    int verdict;

    while (row->type != NULL && strcmp(row->type, type) != 0)
        row++;
    if (row->type == NULL)
        fail_test("the module has no type %s", type);
    h->text[0] = h->result[0] = h->log[0] = '\0';
    h->delay_ms = -1;
    h->children = NULL;
    h->child_count = 0;
    jobq_job_view job = describe(h, type, payload);
    bool transactional = (row->flags & JOBQ_HANDLER_TRANSACTIONAL) != 0;
    if (h->conn != NULL && transactional)
        command(h->conn, "BEGIN");
    verdict = row->run(&job, &h->host, h->state);
    if (h->conn != NULL)
        end_session(h, transactional, verdict);
    free_children(last, last_count);
    return verdict;
}
