/* SPDX-License-Identifier: MIT */
/* jobctl dead list, show, retry and discard, against a real Redis. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "tests/integration/jobctl/fill.h"
#include "tests/integration/jobctl/proxy.h"
#include "tests/integration/jobctl/run.h"
#include "tests/support/support.h"

#define MANY 20000

static struct redis *redis;

static void start(void)
{
    redis = redis_start(NULL);
    setenv("JOBQ_REDIS", redis->operator_url, 1);
}

/* The user that operators have may do all of it. */
static void stop(void)
{
    redis_check_refused(redis);
    redis_stop(redis);
}

TestSuite(jobctl_dead, .init = start, .fini = stop);

static long long count(const char *stream)
{
    return redis_int(redis, "XLEN jobq:{mail:0}:%s", stream);
}

static void done(struct redisReply *r)
{
    cr_assert(r->type != REDIS_REPLY_ERROR, "%s", r->str);
    freeReplyObject(r);
}

/* ---- looking ---- */

Test(jobctl_dead, list_goes_on_where_it_ended_over_all_partitions)
{
    done(redis_do(redis, "HSET jobq:queues other 1"));
    for (int i = 0; i < 6; i++) {
        fill(redis, 1, &(struct fill){.entry = fmt("%d-0", 1000 + i), .type = "m"}, NULL);
        fill(redis, 1,
             &(struct fill){.queue = "other", .entry = fmt("%d-0", 1000 + i), .type = "o"}, NULL);
    }
    char after[160] = "", seen[400] = "";
    for (int pages = 0; pages == 0 || after[0] != '\0'; pages++) {
        cr_assert(pages < 4);
        const char *const args[] = {"dead",    "list", "--json",
                                    "--limit", "4",    after[0] != '\0' ? "--after" : NULL,
                                    after,     NULL};
        struct run r = run_jobctl(NULL, args);
        expect(&r, 0, NULL);
        for (size_t i = 0; i < json_array_size(member(&r, "dead")); i++) {
            const char *place = text_at(&r, fmt("dead.%zu.place", i));
            strncat(seen, text_at(&r, fmt("dead.%zu.type", i)), 2);
            strncat(seen, strrchr(place, '/') + 4, 1);
        }
        snprintf(after, sizeof(after), "%s",
                 json_is_string(member(&r, "next")) ? text_at(&r, "next") : "");
        run_free(&r);
    }
    cr_assert_str_eq(seen, "m5o5m4o4m3o3m2o2m1o1m0o0");
    struct run r = JOBCTL("dead", "list", "--limit", "4");
    cr_assert(strstr(r.out, "\nmore: --after other/0/dead/1004-0\n") != NULL, "%s", r.out);
    run_free(&r);
}

/* How many dead letters the filters let through. */
static long long matched(const char *const *filters)
{
    const char *args[20] = {"dead", "retry", "--dry-run", "--json"};
    for (size_t i = 0; filters[i] != NULL; i++)
        args[4 + i] = filters[i];
    struct run r = run_jobctl(NULL, args);
    expect(&r, 0, NULL);
    long long n = number_at(&r, "dead.matched");
    cr_assert(json_is_true(member(&r, "dead.dry_run")) && number_at(&r, "dead.done") == 0);
    run_free(&r);
    return n;
}
#define MATCHED(...) matched((const char *const[]){__VA_ARGS__, NULL})

Test(jobctl_dead, filters_by_type_reason_error_and_queue)
{
    fill(redis, 3, &(struct fill){.type = "x", .error = "timed out at db1"}, NULL);
    fill(redis, 5, &(struct fill){.type = "y", .error = "timed out", .reason = "exhausted"}, NULL);
    fill(redis, 7, &(struct fill){.queue = "other", .type = "x"}, NULL);
    cr_assert_eq(MATCHED("--all"), 15);
    cr_assert_eq(MATCHED("--all", "--queue", "mail"), 8);
    cr_assert_eq(MATCHED("--type", "x"), 10);
    cr_assert_eq(MATCHED("--type", "x", "--queue", "other"), 7);
    cr_assert_eq(MATCHED("--error", "timed out"), 8);
    cr_assert_eq(MATCHED("--error", "db1"), 3);
    cr_assert_eq(MATCHED("--error", "db1", "--type", "y"), 0);
    cr_assert_eq(MATCHED("--reason", "exhausted"), 5);
    cr_assert_eq(MATCHED("--type", "x", "--limit", "4"), 4);
    cr_assert_eq(redis_int(redis, "XLEN jobq:{other:0}:dead") + count("dead"), 15,
                 "a dry run changes nothing");
}

Test(jobctl_dead, filters_by_age_of_redis_clock)
{
    struct redisReply *time = redis_do(redis, "TIME");
    long long now = strtoll(time->element[0]->str, NULL, 10) * 1000;
    freeReplyObject(time);
    fill(redis, 2, &(struct fill){.entry = fmt("%lld-*", now - 7200000)}, NULL);
    fill(redis, 3, &(struct fill){.entry = fmt("%lld-*", now - 1800000)}, NULL);
    cr_assert_eq(MATCHED("--older-than", "1h"), 2);
    cr_assert_eq(MATCHED("--newer-than", "1h"), 3);
    cr_assert_eq(MATCHED("--newer-than", "3h", "--older-than", "10m"), 5);
    cr_assert_eq(MATCHED("--newer-than", "10m", "--older-than", "1h"), 0);
}

Test(jobctl_dead, filters_by_members_of_the_payload)
{
    static const char *const payloads[] = {
        "{\"user\":{\"id\":17,\"name\":\"a.b=c\"},\"tags\":[\"new\",\"old\"],\"x.y\":1}",
        "{\"user\":{\"id\":\"17\"},\"ok\":true,\"none\":null,\"real\":1.5,\"z\":\"\\u0000\"}",
        "{\"user\":{\"id\":18},\"huge\":123456789012345678901234567890}",
        "{\"user\":17}",
        "not json",
    };
    for (size_t i = 0; i < ARRAY_LEN(payloads); i++)
        fill(redis, 1, &(struct fill){.payload = payloads[i]}, NULL);
    cr_assert_eq(MATCHED("--field", "user.id=17"), 2, "as a number and as text");
    cr_assert_eq(MATCHED("--field", "user.id=\"17\""), 1, "as JSON it is text");
    cr_assert_eq(MATCHED("--field", "user.id=18"), 1, "beside a number beyond 64 bits");
    cr_assert_eq(MATCHED("--field", "user=17"), 1);
    cr_assert_eq(MATCHED("--field", "user.name=a.b=c"), 1);
    cr_assert_eq(MATCHED("--field", "tags.0=new"), 1);
    cr_assert_eq(MATCHED("--field", "tags.2=new"), 0);
    cr_assert_eq(MATCHED("--field", "tags=[\"new\", \"old\"]"), 1);
    cr_assert_eq(MATCHED("--field", "x\\.y=1"), 1);
    cr_assert_eq(MATCHED("--field", "x.y=1"), 0);
    cr_assert_eq(MATCHED("--field", "ok=true"), 1);
    cr_assert_eq(MATCHED("--field", "none=null"), 1, "absent is not null");
    cr_assert_eq(MATCHED("--field", "real=1.5"), 1);
    cr_assert_eq(MATCHED("--field", "user.id=17", "--field", "ok=true"), 1, "all must hold");
    struct run r = JOBCTL("dead", "retry", "--dry-run", "--json", "--field", "a=1");
    cr_assert_eq(number_at(&r, "dead.unreadable"), 1);
    run_free(&r);
}

Test(jobctl_dead, nothing_of_a_payload_or_an_error_reaches_the_terminal_raw)
{
    jobq_id id;
    fill(redis, 1,
         &(struct fill){.type = "t",
                        .payload = "{\"a\":\"\033]0;owned\007 \302\233 \342\200\256\"}",
                        .error = "\033[2J\033[H wiped \377\376 \303\244",
                        .error_len = 0},
         &id);
    fill(redis, 1, &(struct fill){.type = "wide", .error = "\346\274\242\345\255\227 ok"}, NULL);
    struct run r = JOBCTL("dead", "show", fill_id_text(&id));
    expect(&r, 0, NULL);
    cr_assert(strstr(r.out, "\\x1b]0;owned\\x07 \\u009b \\u202e") != NULL, "%s", r.out);
    cr_assert(strchr(r.out, '\033') == NULL && strstr(r.out, "\302\233") == NULL);
    run_free(&r);
    char text[JOBQ_ID_TEXT_SIZE];
    jobq_id_format(&id, text);
    const char *const lists[][6] = {{"dead", "list"},
                                    {"job", "list"},
                                    {"dead", "retry", "--all", "--dry-run"},
                                    {"dead", "list", "--json"},
                                    {"dead", "show", text, "--json"}};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        r = run_jobctl(NULL, lists[i]);
        expect(&r, 0, NULL);
        for (const char *c = r.out; *c != '\0'; c++)
            cr_assert((unsigned char)*c >= 0x20 || *c == '\n', "%s", r.out);
        cr_assert(strchr(r.out, '\377') == NULL);
        run_free(&r);
    }
}

Test(jobctl_dead, show_tells_everything_and_finds_only_dead_ones)
{
    jobq_id id, other;
    fill(redis, 1, &(struct fill){.unique = "k", .flags = 1}, &id);
    fill(redis, 1, &(struct fill){.stream = "parked"}, &other);
    struct run r = JOBCTL("dead", "show", fill_id_text(&id), "--json");
    expect(&r, 0, NULL);
    expect_golden(&r, "dead_show");
    char place[160];
    snprintf(place, sizeof(place), "%s", text_at(&r, "job.place"));
    run_free(&r);
    r = JOBCTL("dead", "show", place, "--json");
    expect(&r, 0, NULL);
    cr_assert_str_eq(text_at(&r, "job.id"), fill_id_text(&id));
    run_free(&r);
    r = JOBCTL("dead", "show", fill_id_text(&other));
    expect(&r, 1, "no such dead letter");
    run_free(&r);
    r = JOBCTL("dead", "show", "mail/0/dead/1-1");
    expect(&r, 1, "nothing is at mail/0/dead/1-1");
    run_free(&r);
    r = JOBCTL("dead", "show", "mail/0/parked/1-1");
    expect(&r, 2, "not a place in dead");
    run_free(&r);
}

/* ---- one ---- */

Test(jobctl_dead, retry_puts_one_back_by_id_or_place)
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

Test(jobctl_dead, retry_with_another_payload_checks_it_first)
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

Test(jobctl_dead, what_cannot_be_put_back_is_told_and_stays)
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

Test(jobctl_dead, many_need_a_yes)
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

Test(jobctl_dead, a_terminal_is_asked_with_the_number)
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

Test(jobctl_dead, two_operators_at_once_put_each_back_once, .timeout = 120)
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
Test(jobctl_dead, killed_in_the_middle_it_lost_and_doubled_nothing)
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

static bool waits_in_a_script(void *ctx)
{
    (void)ctx;
    char *clients = redis_str(redis, "CLIENT LIST");
    const char *jobctl = strstr(clients, "name=jobctl");
    bool waits = jobctl != NULL && strstr(jobctl, "cmd=evalsha") != NULL;
    free(clients);
    return waits;
}

Test(jobctl_dead, interrupted_it_ends_its_step_and_says_how_far_it_came)
{
    jobq_id ids[500];
    fill(redis, 500, NULL, ids);
    done(redis_do(redis, "CLIENT PAUSE 600000 WRITE"));
    struct process *p = start_retry("interrupted", NULL);
    cr_assert(wait_until(now_ms() + patience_ms(20000), waits_in_a_script, NULL));
    process_signal(p, SIGINT);
    done(redis_do(redis, "CLIENT UNPAUSE"));
    int status = process_wait(p, patience_ms(20000));
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGINT, "%x", (unsigned)status);
    cr_assert(process_wait_log(p, "interrupted: 16 put back; run it again", NULL, 1000));
    process_free(p);
    cr_assert(count("dead") == 484 && count("ready:normal") == 16);
}

Test(jobctl_dead, a_lost_answer_exits_75_and_can_be_repeated)
{
    static struct proxy cutter;
    jobq_id ids[50];
    fill(redis, 50, NULL, ids);
    cutter.listen = strdup(fmt("%s/cutter", tmp_dir()));
    cutter.target = redis->socket;
    cutter.cut_back_at = "REVIVED";
    proxy_start(&cutter);
    struct run r = JOBCTL("dead", "retry", "--all", "--yes", "--json", "--redis",
                          fmt("unix://%s", cutter.listen));
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

Test(jobctl_dead, what_dies_meanwhile_is_not_taken)
{
    jobq_id ids[100];
    fill(redis, 100, NULL, ids);
    done(redis_do(redis, "CLIENT PAUSE 600000 WRITE"));
    struct process *p = start_retry("meanwhile", NULL);
    cr_assert(wait_until(now_ms() + patience_ms(20000), waits_in_a_script, NULL));
    done(redis_do(redis, "CLIENT UNPAUSE"));
    fill(redis, 5, &(struct fill){.entry = "9999999999999-*"}, NULL);
    cr_assert_eq(process_wait(p, patience_ms(20000)), 0);
    process_free(p);
    cr_assert_eq(count("dead"), 5);
    expect_all_once(ids, 100);
}

Test(jobctl_dead, who_may_only_look_changes_nothing)
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

Test(jobctl_dead, large_payloads_go_in_small_steps)
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
