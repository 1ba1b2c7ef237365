/* SPDX-License-Identifier: MIT */
/* driver: see driver.h. */
#include "tests/integration/recount/driver.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void host_log(void *ctx, int level, const char *text)
{
    struct driver *d = ctx;
    size_t at = strlen(d->log);
    snprintf(d->log + at, sizeof(d->log) - at, "%d %s\n", level, text);
}

static int host_should_stop(void *ctx)
{
    (void)ctx;
    return 0;
}

static void host_progress(void *ctx, int percent)
{
    (void)ctx;
    (void)percent;
}

static int host_set_result(void *ctx, const char *json, size_t len)
{
    struct driver *d = ctx;
    if (len >= sizeof(d->result)) {
        return -1;
    }
    memcpy(d->result, json, len);
    d->result[len] = '\0';
    if (sscanf(d->result, "{\"checked\":%lld,\"changed\":%lld}", &d->checked, &d->changed) != 2) {
        d->checked = d->changed = -1;
    }
    return 0;
}

static int host_enqueue(void *ctx, const jobq_child *child)
{
    struct driver *d = ctx;
    if (d->children == DRIVER_CHILDREN_MAX || child->size != sizeof(*child)) {
        return -1;
    }
    snprintf(d->child_type[d->children], sizeof(d->child_type[0]), "%s", child->type);
    snprintf(d->child_payload[d->children], sizeof(d->child_payload[0]), "%.*s",
             (int)child->payload_len, child->payload);
    snprintf(d->child_queue[d->children], sizeof(d->child_queue[0]), "%s",
             child->queue ? child->queue : "");
    snprintf(d->child_key[d->children], sizeof(d->child_key[0]), "%s",
             child->unique_key ? child->unique_key : "");
    d->child_max_attempts = child->max_attempts;
    d->children++;
    return 0;
}

static struct pg_conn *host_pg(void *ctx)
{
    struct driver *d = ctx;
    return d->conn;
}

static int host_complete(void *ctx)
{
    (void)ctx;
    return -1; /* not a manual type */
}

static void host_set_text(void *ctx, const char *text)
{
    struct driver *d = ctx;
    snprintf(d->text, sizeof(d->text), "%s", text);
}

static void host_set_delay(void *ctx, int64_t delay_ms)
{
    struct driver *d = ctx;
    d->delay_ms = delay_ms;
}

static const char *host_config(void *ctx, const char *key)
{
    struct driver *d = ctx;
    for (const char *const *pair = d->config; pair && *pair; pair += 2) {
        if (strcmp(pair[0], key) == 0) {
            return pair[1];
        }
    }
    return NULL;
}

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "driver: %s: %s\n", what, why);
    abort();
}

static void load(struct driver *d, const char *path)
{
    d->lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!d->lib) {
        die("dlopen", dlerror());
    }
    d->module = dlsym(d->lib, "jobq_module_v1");
    if (!d->module || d->module->size != sizeof(jobq_module)) {
        die(path, "no jobq_module_v1 of this size");
    }
    if (d->module->start && d->module->start(&d->host, &d->state) != 0) {
        die(path, d->log);
    }
}

struct driver *driver_open(const char *module_path, const char *conninfo)
{
    struct driver *d = calloc(1, sizeof(*d));
    if (!d) {
        die("calloc", "out of memory");
    }
    d->host = (jobq_host){
        .size = sizeof(jobq_host),
        .ctx = d,
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
    };
    d->attempt = 1;
    d->max_attempts = 7;
    load(d, module_path);
    if (conninfo) {
        d->conn = PQconnectdb(conninfo);
        if (PQstatus(d->conn) != CONNECTION_OK) {
            die("connect", PQerrorMessage(d->conn));
        }
    }
    return d;
}

void driver_close(struct driver *d)
{
    if (d->module->stop) {
        d->module->stop(d->state);
    }
    PQfinish(d->conn);
    dlclose(d->lib);
    free(d);
}

static void forget_last(struct driver *d)
{
    d->text[0] = d->result[0] = d->log[0] = '\0';
    d->delay_ms = -1;
    d->children = 0;
    d->child_max_attempts = 0;
    d->checked = d->changed = -1;
}

static bool command(PGconn *conn, const char *sql)
{
    PGresult *r = PQexec(conn, sql);
    bool ok = PQresultStatus(r) == PGRES_COMMAND_OK;
    PQclear(r);
    return ok;
}

int driver_run(struct driver *d, const char *type, const char *payload)
{
    const jobq_handler *h = d->module->handlers;
    struct timespec now;
    int verdict;

    while (h->type && strcmp(h->type, type) != 0) {
        h++;
    }
    if (!h->type) {
        die(type, "the module does not have this type");
    }
    forget_last(d);
    clock_gettime(CLOCK_MONOTONIC, &now);
    jobq_job_view job = {
        .size = sizeof(job),
        .id = "01900000-0000-7000-8000-000000000001",
        .type = type,
        .queue = "default",
        .payload = payload,
        .payload_len = strlen(payload),
        .attempt = d->attempt,
        .max_attempts = d->max_attempts,
        .soft_ms = (int64_t)now.tv_sec * 1000 + 60000,
        .hard_ms = (int64_t)now.tv_sec * 1000 + 70000,
        .enqueued_ms = 1700000000000,
    };
    if (d->conn) {
        command(d->conn, "BEGIN"); /* a lost connection is for the handler to meet */
    }
    verdict = h->run(&job, &d->host, d->state);
    if (d->conn) {
        bool ended = command(d->conn, verdict == JOBQ_DONE ? "COMMIT" : "ROLLBACK");
        if (verdict == JOBQ_DONE && !ended) {
            die("COMMIT", PQerrorMessage(d->conn));
        }
    }
    return verdict;
}

int driver_run_chain(struct driver *d, const char *type, const char *payload, long long *checked,
                     long long *changed, size_t *runs)
{
    char next_type[65];
    char next[512];
    int verdict;

    *checked = *changed = 0;
    *runs = 0;
    snprintf(next_type, sizeof(next_type), "%s", type);
    snprintf(next, sizeof(next), "%s", payload);
    for (;;) {
        verdict = driver_run(d, next_type, next);
        ++*runs;
        if (verdict != JOBQ_DONE) {
            return verdict;
        }
        *checked += d->checked;
        *changed += d->changed;
        if (d->children == 0) {
            return verdict;
        }
        snprintf(next_type, sizeof(next_type), "%s", d->child_type[0]);
        snprintf(next, sizeof(next), "%s", d->child_payload[0]);
    }
}
