/* SPDX-License-Identifier: MIT */
#include "tests/e2e/outage/outage.h"

#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEALS_MS 30000
#define HEALED_MS 20000 /* 5 s are promised, on a machine that has time for it */
#define RUNS 3

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

static int count_steals(struct scene *s)
{
    static const char *const signs[] = {" fenced ", "swept", "incarnation.lost"};
    int steals = 0;

    for (size_t i = 0; i < SCENE_JOBD_MAX; i++)
        for (size_t k = 0; s->jobd[i] && k < sizeof(signs) / sizeof(signs[0]); k++)
            steals += process_count_log(s->jobd[i]->process, signs[k]);
    return steals;
}

void outage_check_no_steal(struct scene *s)
{
    cr_assert_eq(count_steals(s), 0, "a living jobd was declared dead, or lost its name");
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

bool outage_end_without_steal(struct scene *s)
{
    scene_wait_drained(s, 60000);
    if (s->postgres)
        scene_check_effects(s);
    cr_assert_eq(scene_dead(s), 0);
    int steals = count_steals(s);
    for (size_t i = 0; i < SCENE_JOBD_MAX; i++)
        if (s->jobd[i])
            scene_drain(s, i);
    scene_free(s);
    return steals == 0;
}

void outage_end(struct scene *s)
{
    cr_assert(outage_end_without_steal(s), "a living jobd was declared dead, or lost its name");
}

void outage_without_steal(bool (*run)(int64_t lease_ms, const void *what), int64_t lease_ms,
                          const void *what)
{
    for (int i = 0; i < RUNS; i++, lease_ms *= 3) {
        if (run(lease_ms, what))
            return;
        fprintf(stderr, "a living jobd was declared dead with a lease of %d ms\n", (int)lease_ms);
    }
    fail_test("a living jobd was declared dead in every run");
}

const char *outage_lease(int64_t ms)
{
    return fmt("%lldms", (long long)ms);
}

void outage_check_healed(int64_t since_ms)
{
    cr_assert_leq(now_ms() - since_ms, patience_ms(HEALED_MS), "it took %d ms to come back",
                  (int)(now_ms() - since_ms));
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

void outage_check_idle(int64_t cpu_ms, int64_t in_ms)
{
    cr_assert_leq(cpu_ms, patience_ms(in_ms / 20), "%d ms of CPU in %d ms", (int)cpu_ms,
                  (int)in_ms);
}
