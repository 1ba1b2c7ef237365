/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include <jobq/api.h>

#include "base/base.h"
#include "base/list.h"

struct item {
    int number;
    struct list node;
};

/* Runs body in a child; its wait status, and what it wrote to stderr. */
static int run_in_child(void (*body)(void), char *said, size_t said_size)
{
    int ends[2];
    int status = 0;
    cr_assert_eq(pipe(ends), 0);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        body();
        _exit(0);
    }
    close(ends[1]);
    size_t len = 0;
    for (ssize_t n = 1; n > 0 && len < said_size - 1; len += n > 0 ? (size_t)n : 0)
        n = read(ends[0], said + len, said_size - 1 - len);
    said[len] = '\0';
    close(ends[0]);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return status;
}

static void break_invariant(void)
{
    /* The sanitizers' handler would turn the abort into an exit. */
    signal(SIGABRT, SIG_DFL);
    ASSERT(1 + 1 == 3);
}

static void keep_invariant(void)
{
    ASSERT(1 + 1 == 2);
}

Test(base, a_broken_invariant_says_where_and_aborts)
{
    char said[512];
    int status = run_in_child(break_invariant, said, sizeof(said));
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status 0x%x", (unsigned)status);
    cr_assert_not_null(strstr(said, "test_base.c:"), "%s", said);
    cr_assert_not_null(strstr(said, "1 + 1 == 3"), "%s", said);
}

Test(base, a_kept_invariant_costs_nothing)
{
    char said[512];
    int status = run_in_child(keep_invariant, said, sizeof(said));
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    cr_assert_str_empty(said);
}

#ifdef JOBQ_CRASH_POINTS
static const char *crash_at;

static void pass_points(void)
{
    if (crash_at)
        setenv("JOBQ_CRASH_AT", crash_at, 1);
    else
        unsetenv("JOBQ_CRASH_AT");
    for (int i = 0; i < 3; i++) {
        CRASH_POINT("test.other");
        CRASH_POINT("test.point");
        ssize_t written UNUSED = write(STDERR_FILENO, ".", 1);
    }
}

Test(base, a_crash_point_kills_at_the_pass_asked_for)
{
    static const struct {
        const char *at;
        const char *said;
        bool killed;
    } cases[] = {
        {NULL, "...", false},           {"test.point", "", true},     {"test.point:1", "", true},
        {"test.point:3", "..", true},   {"test.point:4", "...", false}, {"test.poin", "...", false},
        {"test.points", "...", false},  {"", "...", false},           {"test.other:2", ".", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char said[16];
        crash_at = cases[i].at;
        int status = run_in_child(pass_points, said, sizeof(said));
        cr_assert_str_eq(said, cases[i].said, "case %zu", i);
        cr_assert_eq(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, cases[i].killed,
                     "case %zu", i);
    }
}
#endif

Test(base, version_is_that_of_the_headers)
{
    char text[32];
    snprintf(text, sizeof(text), "%d.%d.%d", JOBQ_VERSION_MAJOR, JOBQ_VERSION_MINOR,
             JOBQ_VERSION_PATCH);
    cr_assert_str_eq(jobq_version(), text);
}

static int join_numbers(struct list *head)
{
    int digits = 0;
    LIST_FOR_EACH(node, head)
        digits = digits * 10 + LIST_ENTRY(node, struct item, node)->number;
    return digits;
}

Test(list, keeps_order_and_lets_nodes_leave)
{
    struct list head;
    struct item items[4];
    list_init(&head);
    cr_assert(list_is_empty(&head));
    cr_assert_null(LIST_FIRST(&head, struct item, node));
    for (int i = 0; i < 4; i++)
        items[i].number = i + 1;
    list_push_back(&head, &items[1].node);
    list_push_back(&head, &items[2].node);
    list_push_front(&head, &items[0].node);
    list_push_back(&head, &items[3].node);
    cr_assert_eq(join_numbers(&head), 1234);
    list_remove(&items[2].node);
    list_remove(&items[2].node);
    cr_assert_eq(join_numbers(&head), 124);
    cr_assert_eq(LIST_FIRST(&head, struct item, node), &items[0]);
    LIST_FOR_EACH(node, &head)
        list_remove(node);
    cr_assert(list_is_empty(&head));
}
