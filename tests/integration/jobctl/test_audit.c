/* SPDX-License-Identifier: MIT */
/* jobctl audit list, and what queue purge, dead retry and dead discard write down, against a real
 * Redis with the rights of an operator. */
#include <criterion/criterion.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "tests/integration/jobctl/fill.h"
#include "tests/integration/jobctl/run.h"
#include "tests/integration/jobctl/server.h"
#include "tests/support/support.h"

#define WAIT_MS 30000
#define MANY 5000

TestSuite(jobctl_audit, .init = start_for_operator, .fini = stop_unrefused);

static void succeed(const char *const *args)
{
    struct run r = run_jobctl(NULL, args);
    expect(&r, 0, NULL);
    run_free(&r);
}
#define SUCCEED(...) succeed((const char *const[]){__VA_ARGS__, NULL})

static struct run audit(void)
{
    struct run r = JOBCTL("audit", "list", "--json");
    expect(&r, 0, NULL);
    return r;
}

/* The one record that there is. */
static struct run audit_of_one(void)
{
    struct run r = audit();
    cr_assert(json_array_size(member(&r, "audit")) == 1, "%s", r.out);
    return r;
}

static long long total(const char *field)
{
    char *text = redis_str(redis, "HGET jobq:{mail:0}:totals %s", field);
    long long n = strtoll(text, NULL, 10);
    free(text);
    return n;
}

/* ---- the list ---- */

/* Who runs the tests, and where, differs. */
static void blank_who(struct run *r)
{
    for (size_t i = 0; i < json_array_size(member(r, "audit")); i++)
        json_object_set_new(json_array_get(member(r, "audit"), i), "by", json_string("<by>"));
}

Test(jobctl_audit, each_act_is_told_with_its_filter_and_its_reason)
{
    struct run r = JOBCTL("audit", "list");
    expect(&r, 0, NULL);
    cr_assert_str_eq(r.out, "no acts of operators\n");
    run_free(&r);
    fill(redis, 40, &(struct fill){.stream = "ready:high", .type = "h"}, NULL);
    fill(redis, 3, &(struct fill){.stream = "ready:normal", .type = "n"}, NULL);
    fill(redis, 25, &(struct fill){.type = "d", .error = "db 1"}, NULL);
    fill(redis, 2, &(struct fill){.queue = "other", .type = "o"}, NULL);
    SUCCEED("queue", "purge", "mail", "--lane", "high", "--yes", "--note", "sent twice, see #17");
    SUCCEED("dead", "retry", "--error", "db 1", "--yes", "--limit", "20", "--queue", "mail");
    SUCCEED("dead", "discard", "--all", "--yes", "--note", "\xc3\xa4 \"x\"");
    r = JOBCTL("audit", "list", "--queue", "mail", "--json");
    expect(&r, 0, NULL);
    blank_who(&r);
    expect_golden(&r, "audit_list");
    struct run other = JOBCTL("audit", "list", "--queue", "other", "--json");
    cr_assert_str_eq(text_at(&r, "audit.0.act"), text_at(&other, "audit.0.act"),
                     "of two partitions, one act");
    cr_assert_str_neq(text_at(&r, "audit.0.act"), text_at(&r, "audit.1.act"));
    run_free(&other);
    run_free(&r);
    r = JOBCTL("audit", "list", "--queue", "other");
    expect(&r, 0, NULL);
    cr_assert(strstr(r.out, "WHEN") != NULL && strstr(r.out, "discard     2") != NULL &&
                  strstr(r.out, "retry") == NULL,
              "%s", r.out);
    run_free(&r);
}

Test(jobctl_audit, who_did_it_is_the_login_and_the_user_of_redis)
{
    char host[65] = "";
    struct passwd *me = getpwuid(getuid());
    cr_assert(me != NULL && gethostname(host, sizeof(host) - 1) == 0);
    fill(redis, 1, &(struct fill){.stream = "ready:high"}, NULL);
    SUCCEED("queue", "purge", "mail", "--yes");
    struct run r = audit_of_one();
    const char *by = text_at(&r, "audit.0.by"), *end = fmt("%s@%s", me->pw_name, host);
    cr_assert(strlen(by) >= strlen(end) && strcmp(by + strlen(by) - strlen(end), end) == 0, "%s",
              by);
    cr_assert_str_eq(text_at(&r, "audit.0.user"), "jobq-operator");
    run_free(&r);
}

Test(jobctl_audit, neither_payload_nor_password_is_written_down)
{
    jobq_id id;
    fill(redis, 1, NULL, &id);
    SUCCEED("dead", "retry", fill_id_text(&id), "--payload", "{\"token\":\"verysecret\"}",
            "--redis", redis->operator_url);
    struct run r = audit_of_one();
    cr_assert_str_eq(text_at(&r, "audit.0.command"),
                     fmt("dead retry %s --payload \xe2\x80\xa6", fill_id_text(&id)));
    cr_assert(strstr(r.out, "secret") == NULL && strstr(r.out, "s3cret") == NULL, "%s", r.out);
    run_free(&r);
}

Test(jobctl_audit, the_list_goes_on_where_it_ended)
{
    char after[160] = "", seen[200] = "";
    done(redis_do(redis, "HSET jobq:queues mail 2 other 1"));
    for (int i = 0; i < 4; i++) {
        const char *const keys[] = {"mail:0", "mail:1", "other:0"};
        for (size_t k = 0; k < ARRAY_LEN(keys); k++)
            done(redis_do(redis, "XADD jobq:{%s}:audit %d-0 act x jobs %d", keys[k], 1000 + i,
                          (int)k * 10 + i));
    }
    for (int pages = 0; pages == 0 || after[0] != '\0'; pages++) {
        cr_assert(pages < 4);
        const char *const args[] = {"audit",   "list", "--json",
                                    "--limit", "5",    after[0] != '\0' ? "--after" : NULL,
                                    after,     NULL};
        struct run r = run_jobctl(NULL, args);
        expect(&r, 0, NULL);
        for (size_t i = 0; i < json_array_size(member(&r, "audit")); i++) {
            size_t n = strlen(seen);
            snprintf(seen + n, sizeof(seen) - n, "%lld ", number_at(&r, fmt("audit.%zu.jobs", i)));
        }
        snprintf(after, sizeof(after), "%s",
                 json_is_string(member(&r, "next")) ? text_at(&r, "next") : "");
        run_free(&r);
    }
    cr_assert_str_eq(seen, "3 13 23 2 12 22 1 11 21 0 10 20 ");
    static const char *const bad[] = {"x",
                                      "mail/0/dead/1-1",
                                      "mail/256/audit/1-1",
                                      "mail/0/audit/x",
                                      "a b/0/audit/1-1",
                                      "mail/0/audit/1-1/x",
                                      "mail/-1/audit/1-1",
                                      "mail//audit/1-1"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct run r = JOBCTL("audit", "list", "--after", bad[i]);
        expect(&r, 2, "--after: not what a list ended with");
        run_free(&r);
    }
    struct run r = JOBCTL("audit", "list", "--after", "mail/0/audit/0-0", "--json");
    expect(&r, 0, NULL);
    cr_assert_eq(json_array_size(member(&r, "audit")), 0);
    run_free(&r);
    for (int i = 0; i < 250; i++)
        done(redis_do(redis, "XADD jobq:{other:0}:audit * act x jobs 1"));
    r = JOBCTL("audit", "list", "--queue", "other", "--limit", "240", "--json");
    expect(&r, 0, NULL);
    cr_assert_eq(json_array_size(member(&r, "audit")), 240, "more than Redis is asked for at once");
    run_free(&r);
}

Test(jobctl_audit, whoever_may_look_may_see_it_and_nobody_else)
{
    fill(redis, 1, &(struct fill){.stream = "ready:high"}, NULL);
    SUCCEED("queue", "purge", "mail", "--yes");
    setenv("JOBQ_REDIS", redis->viewer_url, 1);
    struct run r = audit_of_one();
    run_free(&r);
    SUCCEED("queue", "show", "mail");
    redis_check_refused(redis);
    setenv("JOBQ_REDIS", redis->producer_url, 1);
    r = JOBCTL("audit", "list");
    expect(&r, 77, NULL);
    run_free(&r);
    done(redis_do(redis, "ACL LOG RESET"));
}

Test(jobctl_audit, a_note_is_short_text)
{
    char *letters = calloc(1, 502);
    memset(letters, 'x', 501);
    fill(redis, 1, NULL, NULL);
    struct run r = JOBCTL("dead", "discard", "--all", "--yes", "--note", letters);
    expect(&r, 2, "--note: 501 bytes are too many, at most 500");
    run_free(&r);
    r = JOBCTL("queue", "purge", "mail", "--yes", "--note", "\xff");
    expect(&r, 2, "--note: not UTF-8");
    run_free(&r);
    letters[500] = '\0';
    SUCCEED("dead", "discard", "--all", "--yes", "--note", letters);
    r = audit_of_one();
    cr_assert_str_eq(text_at(&r, "audit.0.note"), letters);
    run_free(&r);
    free(letters);
}

Test(jobctl_audit, what_changes_nothing_is_not_written_down)
{
    fill(redis, 3, NULL, NULL);
    SUCCEED("dead", "discard", "--all", "--dry-run");
    SUCCEED("queue", "purge", "mail", "--yes");
    SUCCEED("dead", "retry", "--type", "nobody", "--yes");
    struct run r = audit();
    cr_assert_eq(json_array_size(member(&r, "audit")), 0, "%s", r.out);
    run_free(&r);
    cr_assert_eq(redis_int(redis, "EXISTS jobq:{mail:0}:audit jobq:{mail:0}:totals"), 0);
}

/* ---- faults ---- */

static struct process *start_discard(const char *name, const char *const *env)
{
    return process_start(name,
                         (const char *const[]){bin_path("jobctl"), "dead", "discard", "--all",
                                               "--yes", "--note", name, NULL},
                         env);
}

/* The sum of all records; each of an act and partition of its own. */
static long long sum_of_records(size_t most)
{
    struct run r = audit();
    long long sum = 0;
    size_t n = json_array_size(member(&r, "audit"));
    cr_assert(n >= 1 && n <= most, "%s", r.out);
    for (size_t i = 0; i < n; i++)
        sum += number_at(&r, fmt("audit.%zu.jobs", i));
    run_free(&r);
    return sum;
}

Test(jobctl_audit, of_two_operators_at_once_each_job_is_counted_once)
{
    fill(redis, MANY, NULL, NULL);
    struct process *a = start_discard("one", NULL), *b = start_discard("two", NULL);
    for (int i = 0; i < 5; i++) { /* also in the midst of it */
        struct run r = JOBCTL("queue", "show", "mail", "--json");
        expect(&r, 0, NULL);
        cr_assert(json_is_null(member(&r, "books.unaccounted")) ||
                      number_at(&r, "books.unaccounted") == 0,
                  "%s", r.out);
        run_free(&r);
    }
    cr_assert_eq(process_wait(a, patience_ms(WAIT_MS)), 0);
    cr_assert_eq(process_wait(b, patience_ms(WAIT_MS)), 0);
    process_free(a);
    process_free(b);
    cr_assert_eq(redis_int(redis, "XLEN jobq:{mail:0}:dead"), 0);
    cr_assert_eq(sum_of_records(2), MANY);
    cr_assert_eq(total("discarded"), MANY);
    struct run r = JOBCTL("queue", "show", "mail", "--json");
    expect(&r, 0, NULL);
    cr_assert(number_at(&r, "books.died") == MANY && number_at(&r, "books.unaccounted") == 0);
    run_free(&r);
}

#ifdef JOBQ_CRASH_POINTS
Test(jobctl_audit, killed_in_the_middle_it_is_true_all_the_same)
{
    fill(redis, 2000, NULL, NULL);
    struct process *p =
        start_discard("killed", (const char *const[]){"JOBQ_CRASH_AT=control.purged:7", NULL});
    int status = process_wait(p, patience_ms(WAIT_MS));
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    process_free(p);
    long long left = redis_int(redis, "XLEN jobq:{mail:0}:dead");
    cr_assert(left > 0 && left < 2000);
    cr_assert_eq(sum_of_records(1), 2000 - left);
    cr_assert_eq(total("discarded"), 2000 - left);
    SUCCEED("dead", "discard", "--all", "--yes");
    struct run r = audit();
    cr_assert(number_at(&r, "audit.0.jobs") == left && number_at(&r, "audit.1.jobs") == 2000 - left,
              "%s", r.out);
    run_free(&r);
}
#endif

Test(jobctl_audit, an_answer_that_was_lost_is_in_the_record)
{
    fill(redis, 50, NULL, NULL);
    struct run r = JOBCTL("dead", "retry", "--all", "--yes", "--redis", url_cut_at("REVIVED"));
    expect(&r, 75, "of 16 more it is not known");
    run_free(&r);
    r = audit_of_one();
    cr_assert_eq(number_at(&r, "audit.0.jobs"), 16);
    cr_assert_str_eq(text_at(&r, "audit.0.user"), "default");
    run_free(&r);
}

/* ---- as it happens ---- */

Test(jobctl_audit, tail_shows_it)
{
    fill(redis, 10, &(struct fill){.stream = "ready:high"}, NULL);
    struct process *p =
        process_start("tail",
                      (const char *const[]){bin_path("jobctl"), "tail", "--event", "operator",
                                            "--limit", "1", "--no-color", NULL},
                      NULL);
    wait_heard("jobq:{mail:0}:events");
    SUCCEED("queue", "purge", "mail", "--yes", "--note", "a \"b\" \\ \x1b[31m 100%");
    int status = process_wait(p, patience_ms(WAIT_MS));
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
    char *log = read_file(p->log);
    cr_assert(strstr(log, "operator   mail  purge  jobs 10  by ") != NULL, "%s", log);
    cr_assert(strstr(log, "  queue purge mail  for a \"b\" \\ \\x1b[31m 100%\n") != NULL, "%s",
              log);
    free(log);
    process_free(p);
}
