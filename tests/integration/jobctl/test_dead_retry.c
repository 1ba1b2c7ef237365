/* SPDX-License-Identifier: MIT */
/* jobctl dead retry and discard, of one and of many, whatever comes in between, against a real
 * Redis. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/jobctl/fill.h"
#include "tests/integration/jobctl/run.h"
#include "tests/integration/jobctl/server.h"
#include "tests/support/support.h"

#define MANY 20000

TestSuite(jobctl_dead_retry, .init = start_for_operator, .fini = stop_unrefused);

/* ---- one ---- */

Test(jobctl_dead_retry, retry_puts_one_back_by_id_or_place)
{
    jobq_id ids[2];
    fill(redis, 2, &(struct fill){.flags = 2}, ids);
    struct run r = JOBCTL("dead", "retry", fill_id_text(&ids[0]), "--json");
    expect(&r, 0, NULL);
    expect_golden(&r, "dead_retry");
    run_free(&r);
    r = JOBCTL("job", "show", fill_id_text(&ids[0]), "--json");
    cr_assert_str_eq(text_at(&r, "job.state"), "queued");
    cr_assert_str_eq(text_at(&r, "job.lane"), "low");
    cr_assert_eq(number_at(&r, "job.attempts"), 0);
    run_free(&r);
    r = JOBCTL("dead", "retry", fill_id_text(&ids[0]));
    expect(&r, 1, "no such dead letter");
    run_free(&r);
    r = JOBCTL("dead", "show", fill_id_text(&ids[1]), "--json");
    char place[160];
    snprintf(place, sizeof(place), "%s", text_at(&r, "job.place"));
    run_free(&r);
    r = JOBCTL("dead", "retry", place);
    expect(&r, 0, NULL);
    cr_assert(strstr(r.out, "done     1\n") != NULL, "%s", r.out);
    run_free(&r);
    cr_assert(count("dead") == 0 && count("ready:low") == 2);
}

Test(jobctl_dead_retry, retry_with_another_payload_checks_it_first)
{
    jobq_id id;
    fill(redis, 1, NULL, &id);
    char text[JOBQ_ID_TEXT_SIZE], file[300];
    jobq_id_format(&id, text);
    snprintf(file, sizeof(file), "%s/payload", tmp_dir());
    struct run r = JOBCTL("dead", "retry", text, "--payload", "[1]");
    expect(&r, 2, "payload: not a JSON object in UTF-8");
    run_free(&r);
    r = JOBCTL("dead", "retry", text, "--payload", "");
    expect(&r, 2, "not a JSON object");
    run_free(&r);
    r = JOBCTL("dead", "retry", text, "--edit", "/nothing/there");
    expect(&r, 2, "cannot read the payload from /nothing/there");
    run_free(&r);
    r = JOBCTL("dead", "retry", "--all", "--yes", "--payload", "{}");
    expect(&r, 2, "a new payload is for one job");
    run_free(&r);
    r = JOBCTL("dead", "retry", text, "--payload", "{}", "--edit", "-");
    expect(&r, 2, "two ways to say the same");
    run_free(&r);
    char *big = calloc(1, 300 * 1024);
    memset(big, 'x', 300 * 1024 - 1);
    memcpy(big, "{\"a\":\"", 6);
    memcpy(big + 300 * 1024 - 3, "\"}", 2);
    write_file(file, big);
    free(big);
    r = JOBCTL("dead", "retry", text, "--edit", file);
    expect(&r, 2, "the payload is over 262144 bytes");
    run_free(&r);
    cr_assert_eq(count("dead"), 1);
    r = run_jobctl("{\"fixed\":true}",
                   (const char *const[]){"dead", "retry", text, "--edit", "-", NULL});
    expect(&r, 0, NULL);
    run_free(&r);
    r = JOBCTL("job", "show", text, "--json");
    cr_assert_str_eq(text_at(&r, "job.payload"), "{\"fixed\":true}");
    run_free(&r);
}

Test(jobctl_dead_retry, what_cannot_be_put_back_is_told_and_stays)
{
    jobq_id ids[2];
    fill(redis, 2, &(struct fill){.unique = "k"}, ids);
    fill(redis, 1, NULL, NULL);
    done(redis_do(redis, "XADD jobq:{mail:0}:dead * p garbage reason corrupt error no by x"));
    struct run r = JOBCTL("dead", "retry", "--all", "--yes", "--json");
    expect(&r, 1, "2 cannot be put back");
    expect_golden(&r, "dead_retry_refused");
    cr_assert_str_eq(text_at(&r, "jobs.0.id"), fill_id_text(&ids[1]));
    cr_assert_str_eq(text_at(&r, "jobs.0.holder"), fill_id_text(&ids[0]));
    run_free(&r);
    cr_assert_eq(count("dead"), 2);
    r = JOBCTL("dead", "discard", "--reason", "corrupt", "--yes", "--json");
    expect(&r, 0, NULL);
    expect_golden(&r, "dead_discard");
    run_free(&r);
    r = JOBCTL("dead", "discard", fill_id_text(&ids[1]));
    expect(&r, 0, NULL);
    run_free(&r);
    cr_assert_eq(count("dead"), 0);
}

/* ---- many ---- */

Test(jobctl_dead_retry, many_need_a_yes)
{
    fill(redis, 30, NULL, NULL);
    struct run r = JOBCTL("dead", "retry", "--all");
    expect(&r, 2, "needs --yes, or a terminal to ask");
    run_free(&r);
    r = JOBCTL("dead", "discard", "--type", "a.b");
    expect(&r, 2, "needs --yes, or a terminal to ask");
    run_free(&r);
    r = JOBCTL("dead", "retry", "--queue", "mail");
    expect(&r, 2, "which ones?");
    run_free(&r);
    r = JOBCTL("dead", "discard", "--all", "--type", "a.b");
    expect(&r, 2, "which ones?");
    run_free(&r);
    cr_assert_eq(count("dead"), 30);
    r = JOBCTL("dead", "retry", "--all", "--dry-run", "--json");
    expect(&r, 0, NULL);
    cr_assert_eq(number_at(&r, "dead.matched"), 30);
    cr_assert_eq(json_array_size(member(&r, "jobs")), 20, "a sample");
    run_free(&r);
    cr_assert_eq(count("dead"), 30);
}

/* Runs jobctl on a terminal of its own, types the answer at its question; returns the exit status,
 * and what it wrote. */
static int answer_question(const char *answer, char *out, size_t out_size, const char *const *args)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    cr_assert(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    const char *name = ptsname(master), *jobctl = bin_path("jobctl");
    pid_t pid = fork();
    cr_assert(pid >= 0);
    if (pid == 0) {
        int terminal = open(name, O_RDWR | O_NOCTTY);
        char *argv[12] = {strdup(jobctl)};
        for (size_t i = 0; args[i] != NULL; i++)
            argv[1 + i] = strdup(args[i]);
        dup2(terminal, 0);
        dup2(terminal, 1);
        dup2(terminal, 2);
        execv(jobctl, argv);
        _exit(127);
    }
    size_t n = 0;
    bool answered = false;
    for (;;) {
        ssize_t got = read(master, out + n, out_size - 1 - n);
        if (got <= 0) /* EIO: nobody has the terminal open any more */
            break;
        n += (size_t)got;
        out[n] = '\0';
        if (!answered && strstr(out, "[y/N] ") != NULL) {
            cr_assert(write(master, answer, strlen(answer)) == (ssize_t)strlen(answer));
            answered = true;
        }
    }
    int status = 0;
    cr_assert(waitpid(pid, &status, 0) == pid);
    close(master);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

Test(jobctl_dead_retry, a_terminal_is_asked_with_the_number)
{
    char out[8192] = "";
    fill(redis, 30, NULL, NULL);
    const char *const args[] = {"dead", "retry", "--all", NULL};
    int status = answer_question("n\n", out, sizeof(out), args);
    cr_assert(status == 1 && strstr(out, "retry 30 dead letters of all queues? [y/N]") != NULL &&
                  strstr(out, "nothing was changed") != NULL,
              "%d: %s", status, out);
    cr_assert_eq(count("dead"), 30);
    status = answer_question("y\n", out, sizeof(out), args);
    cr_assert(status == 0, "%d: %s", status, out);
    cr_assert_eq(count("dead"), 0);
    cr_assert_eq(count("ready:normal"), 30);
}

static struct process *start_retry(const char *name, const char *const *env)
{
    return process_start(
        name, (const char *const[]){bin_path("jobctl"), "dead", "retry", "--all", "--yes", NULL},
        env);
}

static void expect_all_once(jobq_id *ids, size_t n)
{
    size_t m = 0;
    jobq_id *there = stream_ids(redis, "ready:normal", &m);
    expect_same_ids(ids, n, there, m);
    free(there);
}

Test(jobctl_dead_retry, two_operators_at_once_put_each_back_once)
{
    jobq_id *ids = calloc(MANY, sizeof(*ids));
    fill(redis, MANY, NULL, ids);
    struct process *a = start_retry("one", NULL), *b = start_retry("two", NULL);
    cr_assert_eq(process_wait(a, patience_ms(60000)), 0);
    cr_assert_eq(process_wait(b, patience_ms(60000)), 0);
    cr_assert_eq(count("dead"), 0);
    expect_all_once(ids, MANY);
    process_free(a);
    process_free(b);
    free(ids);
}

#ifdef JOBQ_CRASH_POINTS
Test(jobctl_dead_retry, killed_in_the_middle_it_lost_and_doubled_nothing)
{
    jobq_id *ids = calloc(2000, sizeof(*ids));
    fill(redis, 2000, NULL, ids);
    struct process *p =
        start_retry("killed", (const char *const[]){"JOBQ_CRASH_AT=control.revived:7", NULL});
    int status = process_wait(p, patience_ms(30000));
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    process_free(p);
    cr_assert(count("dead") > 0 && count("ready:normal") > 0);
    cr_assert_eq(count("dead") + count("ready:normal"), 2000);
    struct run r = JOBCTL("dead", "retry", "--all", "--yes");
    expect(&r, 0, NULL);
    run_free(&r);
    cr_assert_eq(count("dead"), 0);
    expect_all_once(ids, 2000);
    free(ids);
}
#endif

/* Its first step waits for CLIENT UNPAUSE; what it is to take it has read. */
static struct process *start_held_up(const char *name)
{
    done(redis_do(redis, "CLIENT PAUSE 600000 WRITE"));
    struct process *p = start_retry(name, NULL);
    wait_in_script();
    return p;
}

Test(jobctl_dead_retry, interrupted_it_ends_its_step_and_says_how_far_it_came)
{
    jobq_id ids[500];
    fill(redis, 500, NULL, ids);
    struct process *p = start_held_up("interrupted");
    process_signal(p, SIGINT);
    done(redis_do(redis, "CLIENT UNPAUSE"));
    int status = process_wait(p, patience_ms(20000));
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGINT, "%x", (unsigned)status);
    cr_assert(process_wait_log(p, "interrupted: 16 put back; run it again", NULL, 1000));
    process_free(p);
    cr_assert(count("dead") == 484 && count("ready:normal") == 16);
}

Test(jobctl_dead_retry, a_lost_answer_exits_75_and_can_be_repeated)
{
    jobq_id ids[50];
    fill(redis, 50, NULL, ids);
    struct run r =
        JOBCTL("dead", "retry", "--all", "--yes", "--json", "--redis", url_cut_at("REVIVED"));
    expect(&r, 75, "of 16 more it is not known; run it again");
    cr_assert_str_eq(text_at(&r, "dead.ended"), "failed");
    cr_assert_eq(number_at(&r, "dead.unknown"), 16);
    run_free(&r);
    cr_assert_eq(count("ready:normal"), 16, "these were put back, though nobody was told");
    r = JOBCTL("dead", "retry", "--all", "--yes");
    expect(&r, 0, NULL);
    run_free(&r);
    expect_all_once(ids, 50);
}

Test(jobctl_dead_retry, what_dies_meanwhile_is_not_taken)
{
    jobq_id ids[100];
    fill(redis, 100, NULL, ids);
    struct process *p = start_held_up("meanwhile");
    done(redis_do(redis, "CLIENT UNPAUSE"));
    fill(redis, 5, &(struct fill){.entry = "9999999999999-*"}, NULL);
    cr_assert_eq(process_wait(p, patience_ms(20000)), 0);
    process_free(p);
    cr_assert_eq(count("dead"), 5);
    expect_all_once(ids, 100);
}

Test(jobctl_dead_retry, who_may_only_look_changes_nothing)
{
    jobq_id id;
    fill(redis, 3, NULL, NULL);
    fill(redis, 1, &(struct fill){.type = "one"}, &id);
    setenv("JOBQ_REDIS", redis->viewer_url, 1);
    struct run r = JOBCTL("dead", "list");
    expect(&r, 0, NULL);
    run_free(&r);
    redis_check_refused(redis);
    r = JOBCTL("dead", "retry", "--all", "--yes", "--json");
    expect(&r, 77, "0 put back until then");
    cr_assert_eq(number_at(&r, "dead.unknown"), 0);
    run_free(&r);
    r = JOBCTL("dead", "discard", fill_id_text(&id));
    expect(&r, 77, "NOPERM");
    run_free(&r);
    cr_assert_eq(count("dead"), 4);
    done(redis_do(redis, "ACL LOG RESET"));
}

Test(jobctl_dead_retry, large_payloads_go_in_small_steps)
{
    char *big = calloc(1, 200 * 1024);
    memset(big, ' ', 200 * 1024 - 1);
    big[0] = '{';
    big[200 * 1024 - 2] = '}';
    jobq_id ids[60];
    fill(redis, 60, &(struct fill){.payload = big}, ids);
    struct run r = JOBCTL("dead", "retry", "--all", "--yes", "--json");
    expect(&r, 0, NULL);
    cr_assert_eq(number_at(&r, "dead.done"), 60);
    run_free(&r);
    expect_all_once(ids, 60);
    free(big);
}
