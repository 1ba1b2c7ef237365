/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "tests/support/support.h"

#define WALL 1767322985678 /* 2026-01-02T03:03:05.678Z */

static int ends[2];
static char got[1 << 18];

static void open_pipe(void)
{
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    /* Only the reader's end: the log must not depend on a descriptor that cannot block. */
    cr_assert_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    clock_fake(1000000, WALL);
}

static void close_pipe(void)
{
    log_setup("jobd", -1, LOG_INFO, LOG_KEY_VALUE);
    close(ends[0]);
    close(ends[1]);
}

/* Everything in the pipe. */
static const char *read_all(int fd)
{
    size_t len = 0;
    ssize_t n = 0;
    while (len < sizeof(got) - 1 && (n = read(fd, got + len, sizeof(got) - 1 - len)) > 0)
        len += (size_t)n;
    got[len] = '\0';
    return got;
}

static int count_text(const char *text, const char *part)
{
    int n = 0;
    for (const char *p = text; (p = strstr(p, part)); p += strlen(part))
        n++;
    return n;
}

TestSuite(log, .init = open_pipe, .fini = close_pipe);

Test(log, writes_keys_and_values)
{
    log_setup("jobd", ends[1], LOG_INFO, LOG_KEY_VALUE);
    log_event(LOG_WARN, "redis.lost", LOG_STR("server", "unix:///x"),
              LOG_STR("error", "no \"answer\"\n"), LOG_STR("none", NULL), LOG_INT("tries", -3),
              LOG_BYTES("raw", "a\0b", 3), LOG_STR("empty", ""), LOG_END);
    cr_assert_str_eq(read_all(ends[0]),
                     "2026-01-02T03:03:05.678Z warn jobd redis.lost server=unix:///x "
                     "error=\"no \\\"answer\\\"\\n\" tries=-3 raw=\"a\\x00b\" empty=\"\"\n");
    log_event(LOG_INFO, "plain", LOG_END);
    cr_assert_str_eq(read_all(ends[0]), "2026-01-02T03:03:05.678Z info jobd plain\n");
}

Test(log, writes_json)
{
    log_setup("jo\"bd", ends[1], LOG_INFO, LOG_JSON);
    log_event(LOG_ERROR, "redis.lost", LOG_STR("error", "no \"answer\"\n"), LOG_STR("none", NULL),
              LOG_INT("tries", INT64_MIN), LOG_BYTES("raw", "\xff", 1), LOG_END);
    cr_assert_str_eq(
        read_all(ends[0]),
        "{\"ts\":\"2026-01-02T03:03:05.678Z\",\"level\":\"error\",\"program\":\"jo\\\"bd\","
        "\"event\":\"redis.lost\",\"error\":\"no "
        "\\\"answer\\\"\\n\",\"tries\":-9223372036854775808,"
        "\"raw\":\"\xEF\xBF\xBD\"}\n");
    log_event(LOG_INFO, "plain", LOG_END);
    cr_assert_str_eq(read_all(ends[0]),
                     "{\"ts\":\"2026-01-02T03:03:05.678Z\",\"level\":\"info\",\"program\":"
                     "\"jo\\\"bd\",\"event\":\"plain\"}\n");
}

Test(log, keeps_to_its_level_also_when_it_changes)
{
    log_setup("jobd", ends[1], LOG_WARN, LOG_KEY_VALUE);
    cr_assert_not(log_is_enabled(LOG_INFO));
    cr_assert(log_is_enabled(LOG_WARN));
    log_event(LOG_INFO, "quiet", LOG_END);
    cr_assert_str_empty(read_all(ends[0]));
    log_setup("jobd", ends[1], LOG_DEBUG, LOG_KEY_VALUE);
    log_event(LOG_DEBUG, "loud", LOG_END);
    cr_assert_not_null(strstr(read_all(ends[0]), " debug jobd loud\n"));
}

Test(log, knows_the_names_of_its_levels)
{
    enum log_level level = LOG_ERROR;
    cr_assert(log_parse_level("debug", &level) && level == LOG_DEBUG);
    cr_assert(log_parse_level("info", &level) && level == LOG_INFO);
    cr_assert(log_parse_level("warn", &level) && level == LOG_WARN);
    cr_assert(log_parse_level("error", &level) && level == LOG_ERROR);
    cr_assert_not(log_parse_level("warning", &level));
    cr_assert_not(log_parse_level("", &level));
    cr_assert_not(log_parse_level(NULL, &level));
    cr_assert_eq(level, LOG_ERROR);
}

Test(log, needs_no_memory)
{
    log_setup("jobd", ends[1], LOG_INFO, LOG_JSON);
    mem_fail_at(1, 1);
    log_event(LOG_ERROR, "memory.gone", LOG_STR("x", "y z"), LOG_INT("n", 1), LOG_END);
    mem_fail_at(0, 0);
    cr_assert_not_null(strstr(read_all(ends[0]), "memory.gone"));
}

/* Writes until lines are dropped; a log that blocks never comes back, and the test's time runs
 * out. */
static uint64_t overfill(void)
{
    uint64_t before = log_dropped();
    int lines = 0;
    while (log_dropped() == before) {
        log_event(LOG_INFO, "filler", LOG_STR("text", "0123456789012345678901234567890123456789"),
                  LOG_END);
        cr_assert_lt(++lines, 100000);
    }
    for (int i = 0; i < 9; i++)
        log_event(LOG_INFO, "lost", LOG_INT("i", i), LOG_END);
    return log_dropped() - before;
}

static void check_full_pipe(void)
{
    cr_assert_eq(overfill(), 10u);
    const char *text = read_all(ends[0]);
    cr_assert_null(strstr(text, "lost"));
    cr_assert_eq(text[strlen(text) - 1], '\n', "the last line is whole");
    log_event(LOG_INFO, "back", LOG_END);
    cr_assert_str_eq(read_all(ends[0]), "2026-01-02T03:03:05.678Z warn jobd log.dropped count=10\n"
                                        "2026-01-02T03:03:05.678Z info jobd back\n");
    cr_assert_eq(overfill(), 10u);
    read_all(ends[0]);
    log_tick();
    cr_assert_str_eq(read_all(ends[0]),
                     "2026-01-02T03:03:05.678Z warn jobd log.dropped count=10\n");
}

Test(log, never_blocks_on_a_full_pipe)
{
    log_setup("jobd", ends[1], LOG_INFO, LOG_KEY_VALUE);
    cr_assert_eq(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0, "others share that descriptor");
    check_full_pipe();
}

Test(log, never_blocks_where_the_pipe_cannot_be_opened_anew)
{
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = limit.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    log_setup("jobd", ends[1], LOG_INFO, LOG_KEY_VALUE);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    /* Some room, but less than the longest line needs. */
    cr_assert_gt(fcntl(ends[1], F_SETPIPE_SZ, 8192), 0);
    check_full_pipe();
}

Test(log, never_blocks_on_a_full_socket)
{
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    log_setup("jobd", pair[1], LOG_INFO, LOG_KEY_VALUE);
    cr_assert_eq(overfill(), 10u);
    cr_assert_eq(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
    read_all(pair[0]);
    log_event(LOG_INFO, "back", LOG_END);
    cr_assert_str_eq(read_all(pair[0]), "2026-01-02T03:03:05.678Z warn jobd log.dropped count=10\n"
                                        "2026-01-02T03:03:05.678Z info jobd back\n");
    close(pair[0]);
    log_event(LOG_INFO, "nobody.reads", LOG_END);
    cr_assert_eq(log_dropped(), 11u);
    close(pair[1]);
}

Test(log, survives_a_closed_reader)
{
    signal(SIGPIPE, SIG_DFL);
    log_setup("jobd", ends[1], LOG_INFO, LOG_KEY_VALUE);
    close(ends[0]);
    log_event(LOG_ERROR, "lost", LOG_END);
    log_event(LOG_ERROR, "lost", LOG_END);
    cr_assert_eq(log_dropped(), 2u);
    /* And when it is set up only then. */
    log_setup("jobd", ends[1], LOG_INFO, LOG_KEY_VALUE);
    log_event(LOG_ERROR, "lost", LOG_END);
    cr_assert_eq(log_dropped(), 3u);
}

Test(log, survives_a_closed_descriptor)
{
    int fd = fcntl(ends[1], F_DUPFD, 500);
    close(fd);
    log_setup("jobd", fd, LOG_INFO, LOG_KEY_VALUE);
    log_event(LOG_ERROR, "lost", LOG_END);
    log_event(LOG_ERROR, "lost", LOG_END);
    cr_assert_eq(log_dropped(), 2u);
    log_setup("jobd", ends[1], LOG_INFO, LOG_KEY_VALUE);
    log_event(LOG_INFO, "back", LOG_END);
    cr_assert_not_null(strstr(read_all(ends[0]), "log.dropped count=2\n"));
}

Test(log, leaves_a_handler_of_sigpipe_alone)
{
    struct sigaction action;
    signal(SIGPIPE, SIG_DFL);
    log_setup("jobd", ends[1], LOG_INFO, LOG_KEY_VALUE);
    cr_assert_eq(sigaction(SIGPIPE, NULL, &action), 0);
    cr_assert_eq(action.sa_handler, SIG_IGN);
}

/* A file that others write to as well: nobody's lines may land on another's. */
Test(log, shares_a_file)
{
    char path[300];
    snprintf(path, sizeof(path), "%s/log", tmp_dir());
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    log_setup("jobd", fd, LOG_INFO, LOG_KEY_VALUE);
    log_event(LOG_INFO, "one", LOG_END);
    cr_assert_eq(write(fd, "other\n", 6), 6);
    log_event(LOG_INFO, "two", LOG_END);
    cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
    cr_assert_str_eq(read_all(fd), "2026-01-02T03:03:05.678Z info jobd one\nother\n"
                                   "2026-01-02T03:03:05.678Z info jobd two\n");
    close(fd);
}

Test(log, suppresses_what_repeats_and_says_how_often)
{
    log_setup("jobd", ends[1], LOG_INFO, LOG_KEY_VALUE);
    for (int i = 0; i < 50; i++) {
        log_event(LOG_WARN, "flood", LOG_INT("i", i), LOG_END);
        log_event(LOG_INFO, "chatter", LOG_INT("i", i), LOG_END);
    }
    log_event(LOG_WARN, "another", LOG_END);
    const char *text = read_all(ends[0]);
    cr_assert_eq(count_text(text, " flood "), 20);
    cr_assert_eq(count_text(text, " chatter "), 50);
    cr_assert_eq(count_text(text, " another\n"), 1);
    cr_assert_null(strstr(text, "suppressed"));
    clock_fake(1000999, WALL);
    log_tick();
    cr_assert_str_empty(read_all(ends[0]));
    clock_fake(1001000, WALL);
    log_event(LOG_INFO, "next", LOG_END);
    cr_assert_str_eq(read_all(ends[0]), "2026-01-02T03:03:05.678Z warn jobd flood suppressed=30\n"
                                        "2026-01-02T03:03:05.678Z info jobd next\n");
    log_event(LOG_WARN, "flood", LOG_END);
    cr_assert_eq(count_text(read_all(ends[0]), " flood\n"), 1, "a new second, a new count");
}

Test(log, summarises_at_a_tick)
{
    log_setup("jobd", ends[1], LOG_INFO, LOG_JSON);
    for (int i = 0; i < 30; i++)
        log_event(i == 29 ? LOG_ERROR : LOG_WARN, "flood", LOG_END);
    read_all(ends[0]);
    clock_fake(1005000, WALL);
    log_tick();
    cr_assert_str_eq(
        read_all(ends[0]),
        "{\"ts\":\"2026-01-02T03:03:05.678Z\",\"level\":\"error\",\"program\":\"jobd\","
        "\"event\":\"flood\",\"suppressed\":10}\n");
    log_tick();
    cr_assert_str_empty(read_all(ends[0]));
}

Test(log, writes_on_when_too_many_events_repeat)
{
    log_setup("jobd", ends[1], LOG_INFO, LOG_KEY_VALUE);
    for (int i = 0; i < 100; i++) {
        char event[32];
        snprintf(event, sizeof(event), "event.%d", i);
        log_event(LOG_WARN, event, LOG_END);
    }
    cr_assert_eq(count_text(read_all(ends[0]), "\n"), 100);
}

/* What is written for a value of any length is one line that is whole, valid and within the
 * limit. */
Test(log, cuts_long_values_at_a_character)
{
    static char text[20000];
    for (size_t i = 0; i + 3 <= sizeof(text); i += 3)
        memcpy(text + i, "\xe2\x82\xac", 3);
    for (int format = LOG_KEY_VALUE; format <= LOG_JSON; format++) {
        log_setup("jobd", ends[1], LOG_INFO, (enum log_format)format);
        for (size_t len = 3900; len < 4200; len += 3) {
            log_event(LOG_INFO, "long", LOG_INT("before", 7), LOG_BYTES("text", text, len),
                      LOG_END);
            const char *line = read_all(ends[0]);
            size_t n = strlen(line);
            cr_assert_leq(n, (size_t)LOG_LINE_MAX);
            cr_assert_eq(count_text(line, "\n"), 1);
            cr_assert_eq(line[n - 1], '\n');
            cr_assert(text_is_utf8(line, n, NULL));
            bool whole = (size_t)count_text(line, "\xe2\x82\xac") == len / 3;
            cr_assert_eq(strstr(line, "cut") == NULL, whole);
            cr_assert(whole || count_text(line, "\xe2\x82\xac") > 600, "more than needed was cut");
            cr_assert_not_null(strstr(line, format == LOG_JSON ? "\"before\":7," : " before=7 "));
        }
    }
}

Test(log, cuts_what_grows_by_quoting)
{
    char bytes[3000];
    memset(bytes, 1, sizeof(bytes));
    log_setup("jobd", ends[1], LOG_INFO, LOG_JSON);
    log_event(LOG_INFO, "long", LOG_BYTES("a", bytes, sizeof(bytes)), LOG_BYTES("b", bytes, 700),
              LOG_STR("c", "x"), LOG_END);
    const char *line = read_all(ends[0]);
    cr_assert_leq(strlen(line), (size_t)LOG_LINE_MAX);
    cr_assert_str_eq(line + strlen(line) - 18, ",\"c\":\"x\",\"cut\":1}\n");
    cr_assert_not_null(strstr(line, "\"a\":\"\\u0001"));
}
