/* SPDX-License-Identifier: MIT */
/*
 * jobd: the daemon under test, with a configuration file of its own and this test as its service
 * manager.
 *
 * Single thread.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/internal.h"
#include "tests/support/support.h"

#define READY_MS 30000
#define MAX_ENV 32

struct daemon {
    struct jobd jobd;   /* first: what the test sees */
    char *history;      /* every message of the notification socket, one after the other */
    size_t history_len;
    size_t seen;        /* up to here waits have matched */
};

static struct daemon *daemon_of(struct jobd *j)
{
    return (struct daemon *)(void *)j;
}

/* ---- the notification socket ---- */

static void open_notify(struct jobd *j)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    const char *path = fmt("%s/notify", j->dir);
    check_socket_path(path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    j->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (j->notify_fd < 0 ||
        bind(j->notify_fd, (struct sockaddr *)(void *)&address, sizeof(address)) != 0)
        fail_test("%s: %s", address.sun_path, strerror(errno));
}

static void take_status(struct jobd *j, const char *message)
{
    const char *at = strstr(message, "STATUS=");

    if (at != NULL)
        snprintf(j->status, sizeof(j->status), "%.*s", (int)strcspn(at + 7, "\n"), at + 7);
}

static void read_notify(struct daemon *d)
{
    char message[4096];
    ssize_t n;

    while ((n = recv(d->jobd.notify_fd, message, sizeof(message) - 1, 0)) > 0) {
        message[n] = '\0';
        take_status(&d->jobd, message);
        d->history = realloc(d->history, d->history_len + (size_t)n + 2);
        if (d->history == NULL)
            abort();
        memcpy(d->history + d->history_len, message, (size_t)n);
        d->history_len += (size_t)n;
        d->history[d->history_len++] = '\n';
        d->history[d->history_len] = '\0';
    }
}

struct notify_wait {
    struct daemon *daemon;
    const char *text;
    bool found;
};

static bool notify_has(void *ctx)
{
    struct notify_wait *w = ctx;
    struct daemon *d = w->daemon;
    bool alive = process_is_alive(d->jobd.process);

    read_notify(d);
    if (d->history != NULL) {
        /* It is ready once in a life: that may have been seen before. */
        bool from_start = strncmp(w->text, "READY", 5) == 0;
        char *at = strstr(d->history + (from_start ? 0 : d->seen), w->text);
        if (at != NULL) {
            size_t end = (size_t)(at - d->history) + strlen(w->text);
            d->seen = end > d->seen ? end : d->seen;
            w->found = true;
        } else if (strstr(fmt("STATUS=%s", d->jobd.status), w->text) != NULL) {
            w->found = true;
        }
    }
    return w->found || !alive;
}

bool jobd_wait_notify(struct jobd *j, const char *text, int64_t timeout_ms)
{
    struct notify_wait w = {daemon_of(j), text, false};

    wait_until(now_ms() + timeout_ms, notify_has, &w);
    return w.found;
}

/* ---- starting ---- */

static void write_configuration(struct jobd *j, const struct jobd_options *o, const char *state_dir)
{
    FILE *f = fopen(j->conf, "we");

    if (f == NULL)
        fail_test("%s: %s", j->conf, strerror(errno));
    if (fchmod(fileno(f), 0600) != 0) /* it may hold a password */
        fail_test("%s: %s", j->conf, strerror(errno));
    fprintf(f, "redis = \"%s\";\n", o->redis != NULL ? o->redis : "");
    if (o->postgres != NULL)
        fprintf(f, "postgres = \"%s\";\n", o->postgres);
    fprintf(f, "queues = ( %s );\n", o->queues != NULL ? o->queues : "{ name = \"default\"; }");
    if (o->types != NULL)
        fprintf(f, "types = ( %s );\n", o->types);
    if (o->modules != NULL)
        fprintf(f, "modules = ( %s );\n", o->modules);
    fprintf(f, "executors = %d;\n", o->executors > 0 ? o->executors : 2);
    fprintf(f, "lease = \"%s\";\n", o->lease != NULL ? o->lease : "5s");
    fprintf(f, "state_dir = \"%s\";\n", state_dir);
    fprintf(f, "instance = \"%s\";\n", o->instance != NULL ? o->instance : "a");
    /* Not those that are installed, if any. */
    if (o->extra == NULL || strstr(o->extra, "executor_path") == NULL)
        fprintf(f, "executor_path = \"%s\";\n", bin_path("jobq-executor"));
    if (o->extra == NULL || strstr(o->extra, "module_dir") == NULL)
        fprintf(f, "module_dir = \"%s\";\n", lib_path("jobq"));
    /* Many run at once: a port of the default would be one for all. */
    if (o->extra == NULL || strstr(o->extra, "http") == NULL)
        fprintf(f, "http = \"off\";\n");
    if (o->extra != NULL)
        fprintf(f, "%s\n", o->extra);
    if (fclose(f) != 0)
        fail_test("%s: %s", j->conf, strerror(errno));
}

struct jobd *jobd_start(const struct jobd_options *o)
{
    struct daemon *d = server_alloc(sizeof(*d));
    struct jobd *j = &d->jobd;
    const char *env[MAX_ENV];
    size_t n = 0;
    char *notify = NULL;

    make_dir("jobd", (struct process_user){0}, j->dir, sizeof(j->dir));
    snprintf(j->conf, sizeof(j->conf), "%s/jobd.conf", j->dir);
    write_configuration(j, o, o->state_dir != NULL ? o->state_dir : j->dir);
    open_notify(j);
    if (asprintf(&notify, "NOTIFY_SOCKET=%s/notify", j->dir) < 0)
        abort();
    env[n++] = notify;
    for (size_t i = 0; o->env != NULL && o->env[i] != NULL && n < MAX_ENV - 1; i++)
        env[n++] = o->env[i];
    env[n] = NULL;
    const char *argv[] = {bin_path("jobd"), "-c", j->conf, NULL};
    const char *name = fmt("jobd-%.20s", o->instance != NULL ? o->instance : "a");
    j->process = process_start(name, argv, env);
    free(notify);
    if (!o->do_not_wait && !jobd_wait_notify(j, "READY=1", patience_ms(READY_MS)))
        fail_test("jobd is not ready (STATUS=%s)", j->status);
    return j;
}

/* ---- ending ---- */

int jobd_drain(struct jobd *j, int64_t timeout_ms)
{
    process_signal(j->process, SIGTERM);
    int status = process_wait(j->process, timeout_ms);
    read_notify(daemon_of(j));
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void jobd_kill(struct jobd *j)
{
    process_signal(j->process, SIGKILL);
    process_wait(j->process, patience_ms(30000));
}

void jobd_free(struct jobd *j)
{
    if (j == NULL)
        return;
    process_free(j->process);
    close(j->notify_fd);
    free(daemon_of(j)->history);
    server_free(daemon_of(j));
}

size_t jobd_executors(struct jobd *j, pid_t *out, size_t max)
{
    DIR *d = opendir("/proc");
    struct dirent *entry;
    size_t n = 0;

    if (d == NULL)
        fail_test("/proc: %s", strerror(errno));
    while ((entry = readdir(d)) != NULL && n < max) {
        long pid = strtol(entry->d_name, NULL, 10);
        char *text = pid > 0 ? read_file(fmt("/proc/%ld/stat", pid)) : NULL;
        char *end = text != NULL ? strrchr(text, ')') : NULL;
        /* "pid (name) state parent …"; a zombie is not alive. */
        if (end != NULL && strlen(end) > 4 && end[2] != 'Z' &&
            strtol(end + 4, NULL, 10) == j->process->pid &&
            strstr(text, "(jobq-executor)") != NULL)
            out[n++] = (pid_t)pid;
        free(text);
    }
    closedir(d);
    return n;
}
