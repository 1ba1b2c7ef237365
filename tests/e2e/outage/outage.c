/* SPDX-License-Identifier: MIT */
#include "tests/e2e/outage/outage.h"

#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEALS_MS 30000

void outage_wait_status(struct jobd *j, const char *text)
{
    if (!jobd_wait_notify(j, text, patience_ms(HEALS_MS)))
        fail_test("STATUS is \"%s\", not \"%s\"", j->status, text);
}

void outage_wait_log(struct jobd *j, const char *text)
{
    if (!process_wait_log(j->process, text, NULL, patience_ms(HEALS_MS)))
        fail_test("never in the log: \"%s\"", text);
}

void outage_check_no_steal(struct scene *s)
{
    for (size_t i = 0; i < SCENE_JOBD_MAX; i++) {
        if (!s->jobd[i])
            continue;
        cr_assert_eq(process_count_log(s->jobd[i]->process, " fenced "), 0,
                     "a living jobd was declared dead");
        cr_assert_eq(process_count_log(s->jobd[i]->process, "swept"), 0, "a living jobd was swept");
        cr_assert_eq(process_count_log(s->jobd[i]->process, "incarnation.lost"), 0,
                     "a living jobd lost its name");
    }
}

static bool any_has_gone(void *ctx)
{
    struct scene *s = ctx;

    for (size_t i = 0; i < SCENE_JOBD_MAX; i++)
        if (s->jobd[i] && !process_is_alive(s->jobd[i]->process))
            return true;
    return false;
}

void outage_lasts(struct scene *s, int64_t ms)
{
    if (wait_until(now_ms() + ms, any_has_gone, s))
        fail_test("a jobd did not survive the outage");
}

void outage_end(struct scene *s)
{
    scene_wait_drained(s, 60000);
    if (s->postgres)
        scene_check_effects(s);
    cr_assert_eq(scene_dead(s), 0);
    outage_check_no_steal(s);
    for (size_t i = 0; i < SCENE_JOBD_MAX; i++)
        if (s->jobd[i])
            scene_drain(s, i);
    scene_free(s);
}

/* ---- connections, as Redis sees them ---- */

long long outage_connection(struct scene *s, const char *name)
{
    char word[64], *list = redis_str(s->redis, "CLIENT LIST");
    long long id = 0;

    snprintf(word, sizeof(word), " name=%s ", name);
    for (char *line = list; line && *line; line += strcspn(line, "\n") + 1) {
        char *end = strchr(line, '\n'), *at = strstr(line, word);
        if (!end)
            break;
        if (at && at < end)
            id = strtoll(line + 3, NULL, 10); /* "id=7 addr=…" */
    }
    free(list);
    return id;
}

bool outage_is_blocked(struct scene *s)
{
    char *info = redis_str(s->redis, "INFO clients");
    bool blocked = strstr(info, "blocked_clients:") && !strstr(info, "\nblocked_clients:0");

    free(info);
    return blocked;
}

static bool is_blocked(void *ctx)
{
    return outage_is_blocked(ctx);
}

long long outage_wait_blocked(struct scene *s)
{
    if (!wait_until(now_ms() + patience_ms(HEALS_MS), is_blocked, s))
        fail_test("the reader never blocked");
    return outage_connection(s, "jobd-reader");
}

struct process *outage_relay(struct redis *r, const char *path)
{
    const char *argv[] = {bin_path("../tests/relay"), path, r->socket, NULL};

    return process_start("relay", argv, NULL);
}

int64_t outage_cpu_ms(pid_t pid)
{
    char *text = read_file(fmt("/proc/%d/stat", (int)pid));
    char *at = text ? strrchr(text, ')') : NULL;
    unsigned long user = 0, system = 0;

    if (!at)
        fail_test("/proc/%d/stat is not readable", (int)pid);
    /* After the name: state, then ten numbers, then user and system time. */
    for (int field = 0; field < 12 && at; field++)
        at = strchr(at + 1, ' ');
    if (!at || sscanf(at, " %lu %lu", &user, &system) != 2)
        fail_test("/proc/%d/stat is not as expected", (int)pid);
    free(text);
    return (int64_t)(user + system) * 1000 / sysconf(_SC_CLK_TCK);
}
