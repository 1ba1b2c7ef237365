/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "broker/resolve.h"
#include "tests/support/support.h"

static bool is_done(void *ctx)
{
    return resolve_is_done(ctx);
}

static struct resolve *resolved(const char *host)
{
    struct resolve *r;
    jobq_err err;

    cr_assert_eq(resolve_start(host, 6379, &r, &err), JOBQ_OK, "%s", err.msg);
    cr_assert(wait_until(now_ms() + patience_ms(20000), is_done, r));
    return r;
}

Test(resolve, answers_numbers_at_once)
{
    struct resolve *r;
    const struct sockaddr *a;
    socklen_t len;

    cr_assert_eq(resolve_start("127.0.0.1", 80, &r, NULL), JOBQ_OK);
    cr_assert(resolve_is_done(r));
    cr_assert_eq(resolve_result(r, NULL), JOBQ_OK);
    cr_assert(resolve_address(r, 0, &a, &len));
    cr_assert_eq(a->sa_family, AF_INET);
    cr_assert_eq(((const struct sockaddr_in *)(const void *)a)->sin_port, htons(80));
    cr_assert_not(resolve_address(r, 1, &a, &len));
    resolve_drop(r);
    cr_assert_eq(resolve_start("::1", 80, &r, NULL), JOBQ_OK);
    cr_assert(resolve_is_done(r));
    cr_assert(resolve_address(r, 0, &a, &len));
    cr_assert_eq(a->sa_family, AF_INET6);
    resolve_drop(r);
    resolve_drop(NULL);
    resolve_forget(NULL);
}

Test(resolve, looks_up_names)
{
    struct resolve *r = resolved("localhost");
    const struct sockaddr *a;
    socklen_t len;

    cr_assert_eq(resolve_result(r, NULL), JOBQ_OK);
    cr_assert(resolve_address(r, 0, &a, &len));
    resolve_drop(r);
}

Test(resolve, names_the_host_that_does_not_exist)
{
    struct resolve *r = resolved("no-such-host.invalid");
    jobq_err err;

    cr_assert_eq(resolve_result(r, &err), JOBQ_ECONN);
    cr_assert_not_null(strstr(err.msg, "no-such-host.invalid"), "%s", err.msg);
    resolve_drop(r);
}

Test(resolve, may_be_dropped_at_any_moment)
{
    for (int i = 0; i < 200; i++) {
        struct resolve *r;
        cr_assert_eq(resolve_start(i % 2 == 0 ? "localhost" : "no-such-host.invalid", 1, &r, NULL),
                     JOBQ_OK);
        for (int spin = 0; spin < i * 200 && !resolve_is_done(r); spin++)
            ;
        resolve_drop(r);
    }
    /* The threads of the dropped ones free what they hold before leaks are looked for. */
    resolve_drop(resolved("localhost"));
}

/* In a child: forgets the parent's lookup and makes one of its own. */
static int look_up_in_child(struct resolve *parents)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        struct resolve *own;
        alarm(60);
        resolve_forget(parents);
        if (resolve_start("localhost", 1, &own, NULL) != JOBQ_OK)
            _exit(1);
        _exit(wait_until(now_ms() + patience_ms(20000), is_done, own) ? 0 : 2);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return status;
}

Test(resolve, works_in_a_child_of_a_process_that_used_it)
{
    struct resolve *r = resolved("localhost");

    cr_assert_eq(look_up_in_child(r), 0);
    resolve_drop(r);
}

#ifndef __SANITIZE_ADDRESS__ /* its allocator may be locked by another thread at the fork */
Test(resolve, works_in_a_child_of_a_process_that_is_using_it)
{
    for (int i = 0; i < 20; i++) {
        struct resolve *r;
        cr_assert_eq(resolve_start("no-such-host.invalid", 1, &r, NULL), JOBQ_OK);
        cr_assert_eq(look_up_in_child(r), 0);
        cr_assert(wait_until(now_ms() + patience_ms(20000), is_done, r));
        resolve_drop(r);
    }
}
#endif

Test(resolve, says_when_memory_ends)
{
    struct resolve *r;

    mem_fail_at(1, 0);
    cr_assert_eq(resolve_start("localhost", 1, &r, NULL), JOBQ_ENOMEM);
    mem_fail_at(0, 0);
}
