/* SPDX-License-Identifier: MIT */
/*
 * jobctl top: in a terminal of its own (a pty), and as one picture, with the rights of a viewer.
 * Whatever ends it, the terminal is as it was.
 */
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/base.h"
#include "tests/integration/jobctl/fill.h"
#include "tests/integration/jobctl/run.h"
#include "tests/integration/jobctl/server.h"
#include "tests/support/support.h"

#define WAIT_MS 20000
#define KEPT ((size_t)128 * 1024)
#define LEAVE "\033[0m\033[?7h\033[?25h\033[?1049l"
#define ENTER "\033[?1049h"

/* Queue mail: 3 wait, 2 dead; counters of this minute and the one before; a worker that runs 1. */
static void fill_all(void)
{
    fill(redis, 3, &(struct fill){.stream = "ready:normal"}, NULL);
    fill(redis, 2, &(struct fill){.type = "d"}, NULL);
    done(redis_do(redis, "HSET jobq:queues mail 1 avatars 2"));
    struct redisReply *r = redis_do(redis, "TIME");
    long long minute = strtoll(r->element[0]->str, NULL, 10) / 60;
    freeReplyObject(r);
    /* The test may go over into the next minutes. */
    for (long long m = minute; m <= minute + 10; m++)
        done(redis_do(redis,
                      "HSET jobq:{mail:0}:stats:%lld succeeded 600 retried 3 dead 2 runs 10 run:4 "
                      "100 wait:1 50 run:x 7 run:99 7 wait: 1",
                      m));
    done(redis_do(redis, "HSET jobq:{mail:0}:alive web-4f2a-77-aa 17"));
    done(redis_do(redis, "HSET jobq:{mail:0}:info web-4f2a-77-aa %s",
                  "{\"v\":1,\"host\":\"web\",\"pid\":77,\"at\":1790000000100,\"state\":\"ready\","
                  "\"executors\":8,\"busy\":1,\"rss\":1048576,\"executors_rss\":1048576,\"jobs\":[{"
                  "\"id\":\"01a30000-0000-7000-8000-000000000001\",\"type\":\"mail.send\","
                  "\"attempt\":1,\"lane\":\"normal\",\"started\":1790000000050,\"pid\":80}]}"));
}

static void start(void)
{
    start_for_viewer();
    setenv("TERM", "xterm", 1);
    fill_all();
}

TestSuite(jobctl_top, .init = start, .fini = stop);

/* ---- once ---- */

Test(jobctl_top, once_prints_one_picture_without_control)
{
    unsetenv("LINES");
    setenv("COLUMNS", "120", 1);
    struct run r = JOBCTL("top", "--once");
    expect(&r, 0, NULL);
    cr_assert(strchr(r.out, '\033') == NULL && strstr(r.out, "quit") == NULL, "%s", r.out);
    const char *const texts[] = {"2 queues: 3 waiting, 0 running, 2 dead; ",
                                 "\nQUEUE ",
                                 "\nmail ",
                                 "\navatars ",
                                 "\nweb-4f2a-77-aa ",
                                 "\nRUNS LONGEST ",
                                 "\nmail.send ",
                                 " 12ms "};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        cr_assert(strstr(r.out, texts[i]) != NULL, "no \"%s\" in:\n%s", texts[i], r.out);
    run_free(&r);
}

Test(jobctl_top, once_gives_its_numbers_as_json)
{
    struct run r = JOBCTL("top", "--once", "--json", "--queue", "mail");
    expect(&r, 0, NULL);
    /* They follow the clock within the minute. */
    long long rate = number_at(&r, "queues.0.succeeded_per_minute");
    cr_assert(rate >= 600 && rate <= 1200, "%lld", rate);
    json_t *rows[] = {member(&r, "queues.0"), member(&r, "totals")};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        json_object_set_new(rows[i], "succeeded_per_minute", json_string("<rate>"));
        json_object_set_new(rows[i], "failed_per_minute", json_string("<rate>"));
    }
    json_object_set_new(r.json, "redis", json_string("<redis>"));
    expect_golden(&r, "top");
    run_free(&r);
}

Test(jobctl_top, needs_a_terminal_unless_once)
{
    struct run r = JOBCTL("top");
    expect(&r, 2, "top needs a terminal");
    run_free(&r);
    r = JOBCTL("top", "--json");
    expect(&r, 2, "top --json needs --once");
    run_free(&r);
    r = JOBCTL("top", "--sort", "beauty");
    expect(&r, 2, "--sort: not queue, waiting");
    run_free(&r);
    r = JOBCTL("top", "--once", "--queue", "none");
    expect(&r, 1, "there is no queue none");
    run_free(&r);
}

/* ---- in a terminal ---- */

struct screen {
    int master;
    pid_t pid;
    char seen[1 << 20]; /* all that was written */
    size_t len;
    char shown[1 << 16]; /* the last whole picture */
};

static struct screen screen;

static void set_size(unsigned short columns, unsigned short lines)
{
    struct winsize size = {.ws_col = columns, .ws_row = lines};
    cr_assert_eq(ioctl(screen.master, TIOCSWINSZ, &size), 0);
}

static void open_program(unsigned short columns, unsigned short lines, const char *const *argv)
{
    struct winsize size = {.ws_col = columns, .ws_row = lines};
    memset(&screen, 0, sizeof(screen));
    const char *program = bin_path("jobctl");
    screen.pid = forkpty(&screen.master, NULL, NULL, &size);
    if (screen.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execv(program, (char *const *)(uintptr_t)argv);
        _exit(99);
    }
    cr_assert(screen.pid > 0);
}

static void open_top(unsigned short columns, unsigned short lines)
{
    open_program(columns, lines,
                 (const char *const[]){"jobctl", "top", "--interval", "100ms", NULL});
}

/* Reads what is there; keeps the last whole picture, without its sequences. */
static void read_screen(void)
{
    struct pollfd p = {.fd = screen.master, .events = POLLIN};
    if (screen.len > sizeof(screen.seen) / 2) { /* the last pictures are enough */
        memmove(screen.seen, screen.seen + screen.len - KEPT, KEPT);
        screen.len = KEPT;
    }
    while (poll(&p, 1, 0) > 0 && (p.revents & POLLIN) && screen.len + 1 < sizeof(screen.seen)) {
        ssize_t n =
            read(screen.master, screen.seen + screen.len, sizeof(screen.seen) - 1 - screen.len);
        if (n <= 0)
            break;
        screen.len += (size_t)n;
    }
    screen.seen[screen.len] = '\0';
    char *end = NULL, *begin = NULL;
    for (char *at = screen.seen; (at = strstr(at, "\033[?2026l")) != NULL; at++)
        end = at;
    for (char *at = screen.seen; end != NULL && (at = strstr(at, "\033[H")) != NULL && at < end;
         at++)
        begin = at + 3;
    size_t n = 0;
    for (char *at = begin; at != NULL && at < end && n + 1 < sizeof(screen.shown); at++) {
        if (*at == '\033')
            at += strcspn(at, "mKHhl");
        else if (*at != '\r')
            screen.shown[n++] = *at;
    }
    if (begin != NULL)
        screen.shown[n] = '\0';
}

static bool is_shown(void *text)
{
    read_screen();
    return strstr(screen.shown, text) != NULL;
}

static bool is_not_shown(void *text)
{
    return !is_shown(text);
}

static void wait_shown(const char *text)
{
    cr_assert(wait_until(patience_ms(WAIT_MS), is_shown, (void *)(uintptr_t)text),
              "no \"%s\" in:\n%s", text, screen.shown);
}

static void press(const char *keys)
{
    cr_assert_eq(write(screen.master, keys, strlen(keys)), (ssize_t)strlen(keys));
}

static int ended;

static bool has_ended(void *ctx)
{
    (void)ctx;
    read_screen();
    return waitpid(screen.pid, &ended, WNOHANG | WUNTRACED) == screen.pid;
}

static void wait_ended(void)
{
    cr_assert(wait_until(patience_ms(WAIT_MS), has_ended, NULL), "it goes on:\n%s", screen.shown);
    read_screen();
}

/* The last word was to give the terminal back, with echo and lines. */
static void check_restored(void)
{
    struct termios t;
    const char *last = NULL, *entered = NULL;
    for (const char *at = screen.seen; (at = strstr(at, LEAVE)) != NULL; at++)
        last = at;
    for (const char *at = screen.seen; (at = strstr(at, ENTER)) != NULL; at++)
        entered = at;
    cr_assert(last != NULL && (entered == NULL || last > entered), "not given back");
    cr_assert_eq(tcgetattr(screen.master, &t), 0);
    cr_assert((t.c_lflag & (ICANON | ECHO)) == (ICANON | ECHO), "the terminal is still raw");
}

static void check_widths(size_t columns, size_t lines)
{
    size_t n = 1;
    for (char *at = screen.shown; *at != '\0';) {
        size_t len = strcspn(at, "\n");
        size_t width = len;
        for (size_t i = 0; i < len; i++)
            width -= ((unsigned char)at[i] & 0xc0) == 0x80;
        cr_assert(width <= columns, "%zu columns: %.*s", width, (int)len, at);
        at += len + (at[len] == '\n');
        n += at[-1] == '\n';
    }
    cr_assert_eq(n, lines, "%zu lines:\n%s", n, screen.shown);
}

Test(jobctl_top, fills_terminals_of_80_and_200_columns)
{
    open_top(80, 24);
    wait_shown("q quit");
    check_widths(80, 24);
    cr_assert(strstr(screen.shown, "RUN P95") && !strstr(screen.shown, "WAIT P95"), "%s",
              screen.shown);
    set_size(200, 50);
    wait_shown("WAIT P95");
    check_widths(200, 50);
    cr_assert(strstr(screen.shown, "MEAN WAIT") && strstr(screen.shown, "RUNS LONGEST"), "%s",
              screen.shown);
    set_size(80, 24);
    cr_assert(wait_until(patience_ms(WAIT_MS), is_not_shown, (void *)(uintptr_t) "WAIT P95"));
    press("q");
    wait_ended();
    cr_assert(WIFEXITED(ended) && WEXITSTATUS(ended) == 0, "%x", ended);
    check_restored();
}

Test(jobctl_top, does_what_keys_say)
{
    open_top(100, 30);
    wait_shown("by waiting");
    press("n");
    wait_shown("by queue");
    cr_assert(strstr(screen.shown, "\navatars") < strstr(screen.shown, "\nmail"));
    press("R");
    wait_shown("by queue, reversed");
    cr_assert(strstr(screen.shown, "\navatars") > strstr(screen.shown, "\nmail"));
    press("s");
    wait_shown("by waiting, reversed");
    press("S\033[A\033[B\033[5~");
    wait_shown("by queue, reversed");
    press("h");
    wait_shown("Sort by ");
    press("?");
    wait_shown("\nQUEUE ");
    press("p");
    wait_shown("PAUSED");
    fill(redis, 4, &(struct fill){.stream = "ready:high", .flags = 1}, NULL);
    press(" ");
    wait_shown("7 waiting");
    cr_assert(strstr(screen.shown, "PAUSED") == NULL);
    press("\003");
    wait_ended();
    cr_assert(WIFEXITED(ended) && WEXITSTATUS(ended) == 130, "%x", ended);
    check_restored();
}

Test(jobctl_top, gives_the_terminal_back_however_it_ends)
{
    static const int numbers[] = {SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGSEGV, SIGABRT, SIGBUS};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        open_top(80, 24);
        wait_shown("q quit");
        kill(screen.pid, numbers[i]);
        wait_ended();
        bool exited = WIFEXITED(ended) && WEXITSTATUS(ended) == 128 + numbers[i];
        bool killed = WIFSIGNALED(ended) && WTERMSIG(ended) == numbers[i];
        cr_assert(i < 4 ? exited : killed, "signal %d: %x", numbers[i], ended);
        check_restored();
        close(screen.master);
    }
}

Test(jobctl_top, gives_the_terminal_back_while_it_is_stopped)
{
    open_top(80, 24);
    wait_shown("q quit");
    press("\032");
    wait_ended();
    cr_assert(WIFSTOPPED(ended), "%x", ended);
    check_restored();
    screen.len = 0;
    screen.shown[0] = '\0';
    kill(screen.pid, SIGCONT);
    wait_shown("q quit");
    press("q");
    wait_ended();
    cr_assert(WIFEXITED(ended) && WEXITSTATUS(ended) == 0, "%x", ended);
    check_restored();
}

Test(jobctl_top, keeps_the_picture_while_redis_is_gone)
{
    open_top(120, 24);
    wait_shown("q quit");
    redis_kill(redis);
    wait_shown("old picture: ");
    cr_assert(strstr(screen.shown, "\nmail ") != NULL, "%s", screen.shown);
    redis_restart(redis);
    wait_shown("0 queues: 0 waiting");
    press("q");
    wait_ended();
    cr_assert(WIFEXITED(ended) && WEXITSTATUS(ended) == 0, "%x", ended);
}

/* worker list is looked at in the same terminals. */
Test(jobctl_top, worker_list_has_the_columns_that_a_terminal_has_room_for)
{
    static const char *const argv[] = {"jobctl", "--no-color", "worker", "list", NULL};
    for (int wide = 0; wide < 2; wide++) {
        open_program(wide ? 200 : 80, 24, argv);
        wait_ended();
        cr_assert(WIFEXITED(ended) && WEXITSTATUS(ended) == 0, "%x: %s", ended, screen.seen);
        const char *end = strchr(screen.seen, '\r');
        cr_assert(end != NULL && end - screen.seen <= (wide ? 200 : 80), "%s", screen.seen);
        cr_assert_eq(strstr(screen.seen, "HOST") != NULL, wide, "%s", screen.seen);
        cr_assert(strstr(screen.seen, "web-4f2a-77-aa") != NULL, "%s", screen.seen);
        close(screen.master);
    }
}
