/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/trouble.h"
#include "tests/support/support.h"

#define WALL 1767322985678 /* 2026-01-02T03:03:05.678Z */
#define START 1000000
#define QUIET 15000
#define WARN "2026-01-02T03:03:05.678Z warn jobd "
#define INFO "2026-01-02T03:03:05.678Z info jobd "

static int ends[2];
static char got[1 << 17];

static void open_pipe(void)
{
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    cr_assert_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    clock_fake(START, WALL);
    log_setup("jobd", ends[1], LOG_INFO, LOG_KEY_VALUE);
    trouble_setup(QUIET);
}

static const char *read_all(void)
{
    size_t len = 0;
    ssize_t n = 0;
    while (len < sizeof(got) - 1 && (n = read(ends[0], got + len, sizeof(got) - 1 - len)) > 0)
        len += (size_t)n;
    got[len] = '\0';
    return got;
}

static bool refuse(const char *error)
{
    return trouble_event(LOG_WARN, "redis.error", 2, LOG_STR("server", "x:1"),
                         LOG_STR("error", error), LOG_INT("nth", 7), LOG_END);
}

TestSuite(trouble, .init = open_pipe);

Test(trouble, is_told_at_its_beginning_and_once_a_minute_with_how_many_were_left_out)
{
    int told = 0;
    for (int ms = 0; ms < 150000; ms += 50) {
        clock_fake(START + ms, WALL);
        trouble_tick();
        told += refuse("NOREPLICAS not enough");
    }
    cr_assert_eq(told, 3);
    cr_assert_str_eq(
        read_all(),
        WARN "redis.error server=x:1 error=\"NOREPLICAS not enough\" nth=7\n" WARN
             "redis.error server=x:1 error=\"NOREPLICAS not enough\" nth=7 left_out=1199\n" WARN
             "redis.error server=x:1 error=\"NOREPLICAS not enough\" nth=7 left_out=1199\n");
}

Test(trouble, is_told_to_have_healed_once_and_then_begins_anew)
{
    for (int i = 0; i < 5; i++) {
        clock_fake(START + i * 1000, WALL);
        refuse("NOPERM");
    }
    cr_assert_eq(trouble_due_ms(), START + 4000 + QUIET);
    read_all();
    clock_fake(START + 4000 + QUIET - 1, WALL);
    trouble_tick();
    cr_assert_str_empty(read_all());
    clock_fake(START + 4000 + QUIET, WALL);
    trouble_tick();
    trouble_tick();
    cr_assert_str_eq(read_all(), INFO "healed what=redis.error error=NOPERM count=5 left_out=4 "
                                      "lasted_ms=4000\n");
    cr_assert_eq(trouble_due_ms(), INT64_MAX);
    cr_assert(refuse("NOPERM"), "it is told again when it comes back");
}

/* Without a tick in between. */
Test(trouble, that_comes_back_late_has_healed_before)
{
    refuse("NOPERM");
    clock_fake(START + QUIET, WALL);
    cr_assert(refuse("NOPERM"));
    cr_assert_str_eq(read_all(), WARN
                     "redis.error server=x:1 error=NOPERM nth=7\n" INFO
                     "healed what=redis.error error=NOPERM count=1 left_out=0 lasted_ms=0\n" WARN
                     "redis.error server=x:1 error=NOPERM nth=7\n");
}

Test(trouble, is_the_same_by_its_event_and_first_fields)
{
    cr_assert(refuse("NOPERM"));
    cr_assert(refuse("MISCONF"));
    cr_assert(trouble_event(LOG_WARN, "redis.down", 2, LOG_STR("server", "x:1"),
                            LOG_STR("error", "NOPERM"), LOG_END));
    cr_assert(trouble_event(LOG_WARN, "n", 1, LOG_INT("partition", 1), LOG_END));
    cr_assert(trouble_event(LOG_WARN, "n", 1, LOG_INT("partition", 2), LOG_END));
    cr_assert_not(trouble_event(LOG_WARN, "n", 1, LOG_INT("partition", 2),
                                LOG_STR("error", "another text"), LOG_END));
    cr_assert_not(refuse("NOPERM"));
    cr_assert_not(refuse("MISCONF"));
}

Test(trouble, that_is_over_for_certain_is_told_again_at_once)
{
    const struct log_field fields[] = {LOG_STR("server", "x:1"), LOG_STR("error", "gone"), LOG_END};
    trouble_end("redis.down", 1, fields);
    cr_assert_str_empty(read_all(), "nothing stood");
    cr_assert(trouble_write(LOG_WARN, "redis.down", 1, fields));
    cr_assert_not(trouble_write(LOG_WARN, "redis.down", 1, fields));
    trouble_end("redis.down", 1, fields);
    cr_assert(trouble_write(LOG_WARN, "redis.down", 1, fields));
    cr_assert_str_eq(read_all(),
                     WARN "redis.down server=x:1 error=gone\n" INFO
                          "healed what=redis.down error=gone count=2 left_out=1 lasted_ms=0\n" WARN
                          "redis.down server=x:1 error=gone\n");
}

/* However many different ones there are, what one minute writes has a bound. */
Test(trouble, of_any_number_is_bounded)
{
    char text[32];
    int told = 0;
    for (int i = 0; i < 10000; i++) {
        clock_fake(START + i * 5, WALL);
        snprintf(text, sizeof(text), "ERR number %d", i);
        told += refuse(text);
    }
    cr_assert_lt(told, 4 * (TROUBLES_MAX + 1), "%d lines in 50 s", told);
}

Test(trouble, below_the_level_is_not_told)
{
    log_setup("jobd", ends[1], LOG_ERROR, LOG_KEY_VALUE);
    cr_assert_not(refuse("NOPERM"));
    cr_assert_eq(trouble_due_ms(), INT64_MAX);
    cr_assert_str_empty(read_all());
}
