/* SPDX-License-Identifier: MIT */
/*
 * Errors that Redis answers for long: each is in the log at its beginning and once when it has
 * healed, however often it was answered; and what is not allowed is asked for seldom (G36).
 */
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/outage/outage.h"

#define AUTH_PACE_MS 4000 /* so long what is not allowed is left alone */
#define ASKERS 2          /* the reader and the command connection */
#define BEGINNING " redis.error "
#define DIFFERENT 8 /* texts of one kind: scripts name the command that was refused */

struct wanted {
    struct scene *s;
    const char *word;
    long long count;
};

static long long answered(struct scene *s, const char *word)
{
    char name[48], *info = redis_str(s->redis, "INFO errorstats");
    long long n = 0;

    snprintf(name, sizeof(name), "errorstat_%s:count=", word);
    char *at = strstr(info, name);
    if (at)
        n = strtoll(at + strlen(name), NULL, 10);
    free(info);
    return n;
}

static bool has_answered(void *ctx)
{
    const struct wanted *w = ctx;

    return answered(w->s, w->word) >= w->count;
}

static void wait_answered(struct scene *s, const char *word, long long count)
{
    struct wanted w = {s, word, count};

    if (!wait_until(now_ms() + patience_ms(60000), has_answered, &w))
        fail_test("%s was answered %lld times only", word, answered(s, word));
}

/* How many lines of the log hold both. What stands for long is told again, with what was left out:
 * such a line begins nothing. */
static int count_lines(struct scene *s, const char *event, const char *word)
{
    char *log = process_log(s->jobd[0]->process), *rest = log, *line;
    bool begins = strcmp(event, BEGINNING) == 0;
    int n = 0;

    while ((line = strsep(&rest, "\n")))
        n += strstr(line, event) && strstr(line, word) && !(begins && strstr(line, " left_out="));
    free(log);
    return n;
}

static void check_few_lines(struct scene *s, const char *word, long long errors)
{
    int lines = count_lines(s, BEGINNING, word);

    cr_assert_geq(lines, 1, "%s is not in the log", word);
    cr_assert_leq(lines, DIFFERENT, "%d lines for %lld errors", lines, errors);
}

/* One line each for what had been told. */
static bool has_healed(void *ctx)
{
    const struct wanted *w = ctx;

    return count_lines(w->s, " healed what=redis.error ", w->word) >=
           count_lines(w->s, BEGINNING, w->word);
}

static void check_heals(struct scene *s, const char *word)
{
    struct wanted w = {.s = s, .word = word};

    if (!wait_until(now_ms() + patience_ms(60000), has_healed, &w))
        fail_test("that %s has healed is not in the log", word);
    cr_assert_eq(count_lines(s, " healed what=redis.error ", word), count_lines(s, BEGINNING, word),
                 "healing is told once");
}

static void allow(struct scene *s, const char *rule)
{
    freeReplyObject(redis_do(s->redis, "ACL SETUSER jobq-worker %s", rule));
}

Test(flood, errors_that_stand_are_told_once_and_when_they_heal)
{
    struct scene *s = scene_new(0);

    scene_jobd(s, 0, (struct jobd_options){.executors = 1, .lease = "500ms"});
    freeReplyObject(redis_do(s->redis, "CONFIG SET min-replicas-to-write 1"));
    outage_wait_status(s->jobd[0], "NOREPLICAS");
    wait_answered(s, "NOREPLICAS", 100);
    check_few_lines(s, "NOREPLICAS", 100);
    freeReplyObject(redis_do(s->redis, "CONFIG SET min-replicas-to-write 0"));
    outage_wait_status(s->jobd[0], "STATUS=ready");

    long long before = answered(s, "NOPERM");
    int64_t since = now_ms();
    allow(s, "-xreadgroup");
    outage_wait_status(s->jobd[0], "NOPERM");
    wait_answered(s, "NOPERM", before + 4);
    long long refused = answered(s, "NOPERM") - before;
    cr_assert_leq(refused, ASKERS * ((now_ms() - since) / AUTH_PACE_MS + 1),
                  "%lld questions in %lld ms", refused, (long long)(now_ms() - since));
    check_few_lines(s, "NOPERM", refused);
    allow(s, "+xreadgroup");
    outage_wait_status(s->jobd[0], "STATUS=ready");
    scene_enqueue_many(s, "noop", "{}", 10);
    check_heals(s, "NOREPLICAS");
    check_heals(s, "NOPERM");
    freeReplyObject(redis_do(s->redis, "ACL LOG RESET")); /* what was refused was meant to be */
    outage_end(s);
}
