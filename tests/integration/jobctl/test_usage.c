/* SPDX-License-Identifier: MIT */
/* jobctl: what it says and how it exits when it is used wrongly or set up wrongly. No server is
 * needed. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/integration/jobctl/proxy.h"
#include "tests/integration/jobctl/run.h"
#include "tests/support/support.h"

static void expect_run(int status, const char *text, const char *const *args)
{
    struct run r = run_jobctl(NULL, args);
    expect(&r, status, text);
    run_free(&r);
}
#define EXPECT(status, text, ...) expect_run(status, text, (const char *const[]){__VA_ARGS__, NULL})

/* One that is certainly nobody's: in a directory of our own. */
static const char *no_redis(void)
{
    return fmt("unix://%s/nothing", tmp_dir());
}

Test(jobctl_usage, a_wrong_command_line_exits_2_and_names_what_was_meant)
{
    setenv("JOBQ_REDIS", no_redis(), 1);
    struct run r = run_jobctl(NULL, (const char *const[]){NULL});
    expect(&r, 2, "which command? see jobctl help");
    run_free(&r);
    EXPECT(2, "which job command? see jobctl help job", "job");
    EXPECT(2, "unknown command qeue; did you mean queue?", "qeue", "list");
    EXPECT(2, "unknown command queue lits; did you mean list?", "queue", "lits");
    EXPECT(2, "unknown command xylophone; see jobctl help", "xylophone");
    EXPECT(2, "unknown flag --jsn; did you mean --json?", "queue", "list", "--jsn");
    EXPECT(2, "unknown flag --lnae; did you mean --lane?", "job", "enqueue", "a", "--lnae", "x");
    EXPECT(2, "unknown flag --lane", "--lane", "high", "job", "enqueue", "a");
    EXPECT(2, "unknown flag -x", "queue", "list", "-x");
    EXPECT(2, "--json takes no value", "queue", "list", "--json=yes");
    EXPECT(2, "--redis needs a value: URL", "queue", "list", "--redis");
    EXPECT(2, "job show needs ID", "job", "show");
    EXPECT(2, "too many operands", "queue", "list", "extra");
    EXPECT(2, "--timeout: not a duration", "queue", "list", "--timeout", "soon");
}

Test(jobctl_usage, values_that_cannot_be_are_refused_before_anything_is_sent)
{
    setenv("JOBQ_REDIS", no_redis(), 1);
    EXPECT(2, "type: must be", "job", "enqueue", "Type");
    EXPECT(2, "queue: must be", "job", "enqueue", "a", "--queue", "a/b");
    EXPECT(2, "payload: not a JSON object", "job", "enqueue", "a", "[1]");
    EXPECT(2, "payload: not a JSON object", "job", "enqueue", "a", "");
    EXPECT(2, "cannot read the payload from /nothing/there", "job", "enqueue", "a",
           "@/nothing/there");
    EXPECT(2, "--lane: not high, normal or low: top", "job", "enqueue", "a", "--lane", "top");
    EXPECT(2, "--delay: not a duration", "job", "enqueue", "a", "--delay", "-5s");
    EXPECT(2, "--due: not Unix milliseconds nor a time", "job", "enqueue", "a", "--due",
           "tomorrow");
    EXPECT(2, "--due: not Unix milliseconds nor a time", "job", "enqueue", "a", "--due",
           "2030-01-02T03:04:05");
    EXPECT(2, "--max-attempts: not a whole number from 1 to 65535: 0", "job", "enqueue", "a",
           "--max-attempts", "0");
    EXPECT(2, "delay_ms and due_ms", "job", "enqueue", "a", "--delay", "5s", "--due",
           "2030-01-02T03:04:05Z");
    EXPECT(2, NULL, "job", "enqueue", "a", "--id", "not-an-id");
    EXPECT(2, NULL, "job", "show", "not-an-id");
    EXPECT(2, "not a lane", "job", "show", "q/0/middle/1-1");
    EXPECT(2, "not a partition", "job", "show", "q/256/high/1-1");
    EXPECT(2, "not an entry", "job", "show", "q/0/high/x");
    EXPECT(2, "not queue/partition/lane/entry", "job", "show", "q/0/high");
    EXPECT(2, "--limit: not a whole number", "dead", "list", "--limit", "0");
    EXPECT(2, "--after: not a place in dead", "dead", "list", "--after", "q/0/high/1-1");
    EXPECT(2, "--field: not path=value", "dead", "list", "--field", "user.id");
    EXPECT(2, "--type: not the name of a type", "dead", "retry", "--type", "A B");
    EXPECT(2, "--older-than: not a duration", "dead", "discard", "--older-than", "soon");
    EXPECT(2, "--reason: not permanent, exhausted, expired or corrupt: no", "dead", "list",
           "--reason", "no");
    EXPECT(2, "dead retry: which ones?", "dead", "retry");
    EXPECT(2, "dead discard: which ones?", "dead", "discard", "q/0/dead/1-1", "--all");
    EXPECT(2, "queue purge needs QUEUE", "queue", "purge");
    EXPECT(2, "a new payload is for one job", "dead", "retry", "--all", "--payload", "{}");
}

Test(jobctl_usage, help_and_version_exit_0_on_stdout)
{
    struct run r = JOBCTL("help");
    expect(&r, 0, NULL);
    cr_assert(strstr(r.out, "queue list") != NULL && strstr(r.out, "exit status: 0 done") != NULL);
    run_free(&r);
    r = JOBCTL("job", "--help");
    expect(&r, 0, NULL);
    cr_assert(strstr(r.out, "job show") != NULL && strstr(r.out, "queue list") == NULL);
    run_free(&r);
    r = JOBCTL("help", "job", "enqueue");
    expect(&r, 0, NULL);
    cr_assert(strstr(r.out, "usage: jobctl job enqueue TYPE [PAYLOAD] [flags]") != NULL);
    cr_assert(strstr(r.out, "--max-attempts N") != NULL);
    run_free(&r);
    r = JOBCTL("--version");
    expect(&r, 0, NULL);
    cr_assert(strncmp(r.out, "jobctl ", 7) == 0);
    run_free(&r);
}

Test(jobctl_usage, an_unreachable_server_exits_69)
{
    setenv("JOBQ_REDIS", no_redis(), 1);
    EXPECT(69, "nothing", "queue", "list");
    EXPECT(69, "nothing", "dead", "list");
    EXPECT(69, "nothing", "dead", "retry", "--all", "--yes");
    EXPECT(69, "nothing", "dead", "discard", "q/0/dead/1-1");
    EXPECT(69, "nothing", "queue", "purge", "q", "--yes");
    EXPECT(69, "nothing", "queue", "show", "q");
    EXPECT(69, "nothing", "job", "list");
    EXPECT(69, "nothing", "parked", "list");
    EXPECT(69, "nothing", "worker", "list");
    EXPECT(69, "nothing", "job", "show", "q/0/high/1-1");
    EXPECT(69, "nothing", "job", "show", "01a206f3-d7fd-7c54-842d-66aa3b4f5791");
    EXPECT(69, "cannot connect to PostgreSQL", "init", "--postgres",
           fmt("host=%s port=5432", tmp_dir()));
    struct run r = JOBCTL("job", "enqueue", "a", "--json");
    expect(&r, 69, "not stored");
    cr_assert_str_eq(text_at(&r, "job.status"), "rejected");
    cr_assert_str_eq(text_at(&r, "job.cause"), "unreachable");
    run_free(&r);
}

Test(jobctl_usage, a_server_that_never_answers_exits_75_in_time)
{
    static struct proxy mute;
    mute.listen = strdup(fmt("%s/mute", tmp_dir()));
    proxy_start(&mute);
    setenv("JOBQ_REDIS", fmt("unix://%s", mute.listen), 1);
    int64_t begin = now_ms();
    EXPECT(75, NULL, "queue", "list", "--timeout", "200ms");
    static struct proxy postgres;
    postgres.listen = strdup(fmt("%s/.s.PGSQL.5432", tmp_dir()));
    proxy_start(&postgres);
    EXPECT(75, "did not answer in time", "init", "--timeout", "200ms", "--postgres",
           fmt("host=%s port=5432 dbname=test", tmp_dir()));
    cr_assert(now_ms() - begin < patience_ms(9900), "the time-out is not the default one");
}

Test(jobctl_usage, a_wrong_configuration_exits_78_and_shows_no_secret)
{
    unsetenv("JOBQ_REDIS");
    EXPECT(78, "rediss://", "queue", "list", "--redis", "rediss://h/0");
    EXPECT(78, "/nothing/there", "queue", "list", "-c", "/nothing/there");
    EXPECT(78, "no PostgreSQL is configured", "init");
    EXPECT(78, "key_prefix", "queue", "list", "--key-prefix", "a{b}");
    EXPECT(78, "key_prefix: must not be empty", "queue", "list", "--key-prefix", "");
    EXPECT(78, "schema: must not be empty", "init", "--schema", "");
    EXPECT(78, "redis: must not be empty", "queue", "list", "--redis", "");
    struct run r = JOBCTL("queue", "list", "--redis", "redis://me:verysecret@h:notaport/0");
    expect(&r, 78, NULL);
    cr_assert(strstr(r.err, "verysecret") == NULL, "%s", r.err);
    run_free(&r);
    r = JOBCTL("init", "--postgres", "host=h password=very secret");
    expect(&r, 78, "not a libpq connection string");
    cr_assert(strstr(r.err, "secret") == NULL, "%s", r.err);
    run_free(&r);
}

Test(jobctl_usage, reads_jobds_file_and_the_names_of_a_forum)
{
    const char *file = fmt("%s/jobd.conf", tmp_dir());
    write_file(
        file,
        fmt("redis = \"unix://%s/from-file\";\nexecutors = 8;\nqueues = ( { name = \"q\"; } );\n"
            "mail = { url = \"smtp://h\"; };\n",
            tmp_dir()));
    chmod(file, 0600);
    unsetenv("JOBQ_REDIS");
    EXPECT(69, "from-file", "queue", "list", "-c", file);
    setenv("JOBQ_REDIS", fmt("unix://%s/from-env", tmp_dir()), 1);
    EXPECT(69, "from-env", "queue", "list", "-c", file);
    EXPECT(69, "from-flag", "queue", "list", "-c", file, "--redis",
           fmt("unix://%s/from-flag", tmp_dir()));
    unsetenv("JOBQ_REDIS");
    setenv("REDIS_HOST", "127.0.0.1", 1);
    setenv("REDIS_PORT", "1", 1);
    EXPECT(69, "127.0.0.1:1", "queue", "list");
    setenv("JOBQ_EXECUTORS", "many", 1); /* is jobd's to refuse */
    EXPECT(69, "127.0.0.1:1", "queue", "list");
    setenv("REDIS_HOST", "a@b", 1);
    EXPECT(78, "environment REDIS_HOST: must be a host name or an address", "queue", "list");
    setenv("REDIS_HOST", "127.0.0.1", 1);
    write_file(fmt("%s/env", tmp_dir()),
               "POSTGRES_HOST=/nothing/there\nPOSTGRES_PASSWORD=verysecret\n");
    chmod(fmt("%s/env", tmp_dir()), 0600);
    EXPECT(69, "/nothing/there", "init", "--env-file", fmt("%s/env", tmp_dir()));
}

Test(jobctl_usage, a_closed_stdout_exits_73)
{
    const char *jobctl = bin_path("jobctl");
    char *out = NULL;
    int status = run_command(
        &out, NULL, (const char *const[]){"/bin/sh", "-c", "exec \"$0\" help >&-", jobctl, NULL});
    cr_assert(status == 73, "exit status %d", status);
    free(out);
}

Test(jobctl_usage, a_full_disk_behind_stdout_exits_73)
{
    const char *jobctl = bin_path("jobctl");
    char *out = NULL;
    int status = run_command(
        &out, NULL,
        (const char *const[]){"/bin/sh", "-c", "exec \"$0\" help >/dev/full", jobctl, NULL});
    cr_assert(status == 73, "exit status %d", status);
    cr_assert(strstr(out, "cannot write") != NULL, "%s", out);
    free(out);
}
