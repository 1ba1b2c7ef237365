/* SPDX-License-Identifier: MIT */
/*
 * Configuration seen from outside: what is refused and how, what a reload changes, logs as JSON.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/e2e/behaviour/behaviour.h"

/* Exit status of jobd with these arguments; *out is all it said, caller frees. */
static int run_jobd(char **out, const char *const *args)
{
    const char *argv[8] = {bin_path("jobd")};
    size_t n = 1;

    for (size_t i = 0; args[i] && n < 7; i++)
        argv[n++] = args[i];
    return run_command(out, NULL, argv);
}

static int run_with_file(char **out, const char *text)
{
    const char *path = fmt("%s/bad.conf", tmp_dir());
    const char *const args[] = {"-c", path, NULL};

    write_file(path, text);
    return run_jobd(out, args);
}

/* ---- refused ---- */

/* A mistake in the file: 78, and one line that names file, line and key. */
Test(config, a_bad_file_is_refused_with_file_line_and_key)
{
    static const struct {
        const char *text, *said;
    } files[] = {
        {"lease = \"5s\";\nexecutors = \"many\";\n", "bad.conf:2: executors"},
        {"executors = 0;\n", "bad.conf:1: executors"},
        {"\n\nexecuters = 2;\n", "bad.conf:3: executers"},
        {"lease = \"5 parsecs\";\n", "bad.conf:1: lease"},
        {"log_format = \"xml\";\n", "bad.conf:1: log_format"},
        {"queues = (\n { name = \"Not A Name\"; } );\n", "bad.conf:2: queues"},
        {"queues = ( { name = \"a\"; }, { name = \"a\"; } );\n", "bad.conf:1: queues"},
        {"types = ( { name = \"a\"; soft_limit = \"2s\"; hard_limit = \"1s\"; } );\n",
         "bad.conf:1: types"},
        {"modules = ( \"/nowhere/at-all.so\" );\n", "bad.conf:1: modules"},
        {"executors = 2\nlease = = 3;\n", "bad.conf:2"},
        {"redis = \"rediss://h:6379\";\n", "bad.conf:1: redis"},
        {"redis = \"redis+sentinel://a,b/m/0\";\n", "bad.conf:1: redis"},
        {"redis = \"http://localhost\";\n", "bad.conf:1: redis"},
        {"redis = \"redis://localhost:99999\";\n", "bad.conf:1: redis"},
        {"redis = \"localhost\";\n", "bad.conf:1: redis"},
    };

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char *out = NULL;
        int status = run_with_file(&out, files[i].text);
        cr_expect_eq(status, 78, "%s: %d, %s", files[i].text, status, out);
        cr_expect(strstr(out, files[i].said), "%s: %s", files[i].text, out);
        const char *line = strchr(out, '\n');
        cr_expect(line && line[1] == '\0', "one line: %s", out);
        free(out);
    }
}

/* A file that is not there, or that everybody may read and that holds a password: 78, and no word
 * of the password. */
Test(config, an_unusable_file_is_refused)
{
    char *out = NULL;
    const char *const args[] = {"-c", "/nowhere/jobd.conf", NULL};

    cr_assert_eq(run_jobd(&out, args), 78);
    cr_assert(strstr(out, "/nowhere/jobd.conf"), "%s", out);
    free(out);
    cr_assert_eq(run_with_file(&out, "executors = 1;\nredis = \"redis://:s3same@localhost\";\n"),
                 78);
    cr_assert(strstr(out, "bad.conf:2: redis"), "%s", out);
    cr_assert_not(strstr(out, "s3same"), "%s", out);
    free(out);
}

/* What is no use of jobd: 2. What asks for no run: 0. */
Test(config, usage)
{
    static const char *const wrong[][3] = {
        {"--nonsense"}, {"--nonsense=1"}, {"stray"}, {"--redis"}, {"-c"}, {"-x"}, {"--help=yes"}};
    static const char *const right[][3] = {{"--help"}, {"--version"}, {"--print-sample"}};
    char *out = NULL;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        int status = run_jobd(&out, wrong[i]);
        cr_expect_eq(status, 2, "%s: %d, %s", wrong[i][0], status, out);
        cr_expect(strstr(out, "jobd: "), "%s: %s", wrong[i][0], out);
        free(out);
    }
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        cr_expect_eq(run_jobd(&out, right[i]), 0, "%s: %s", right[i][0], out);
        free(out);
    }
}

/* A flag is a configuration too: a wrong value is 78 and names the flag. */
Test(config, a_bad_flag_is_named)
{
    char *out = NULL;
    const char *const args[] = {"--redis", "gopher://x", NULL};

    cr_assert_eq(run_jobd(&out, args), 78);
    cr_assert(strstr(out, "redis"), "%s", out);
    free(out);
}

/* ---- modules ---- */

/* A module that cannot be used ends jobd at start with 78 and a text that names it; nothing was
 * claimed. */
Test(config, a_module_that_does_not_load_is_told)
{
    static const char *const faults[] = {"both", "empty",  "flags",     "name", "run",
                                         "size", "symbol", "undefined", "start"};
    struct scene *s = scene_new(0);

    scene_enqueue(s, "noop", "{}");
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct jobd *j = scene_jobd(
            s, 0,
            (struct jobd_options){
                .do_not_wait = true,
                .modules = fmt("\"%s\"", lib_path(fmt("jobq-test/bad_%s.so", faults[i])))});
        int status = process_wait(j->process, patience_ms(20000));
        cr_expect_eq(status >> 8, 78, "%s: %d", faults[i], status >> 8);
        cr_expect_geq(process_count_log(j->process, fmt("bad_%s.so", faults[i])), 1, "%s",
                      faults[i]);
        jobd_free(j);
        s->jobd[0] = NULL;
    }
    cr_assert_eq(scene_pending(s), 0);
    cr_assert_eq(scene_queued(s), 1);
    scene_free(s);
}

/* What start() of a module said is in the text. */
Test(config, a_module_tells_why_it_does_not_start)
{
    struct scene *s = scene_new(0);
    struct jobd *j = scene_jobd(
        s, 0,
        (struct jobd_options){.do_not_wait = true,
                              .modules = fmt("\"%s\"", lib_path("jobq-test/bad_start.so"))});

    cr_assert_eq(process_wait(j->process, patience_ms(20000)) >> 8, 78);
    const char *const texts[] = {"executor.start_failed", "bad.key is not set", NULL};
    free(log_line(j, texts));
    scene_free(s);
}

/* ---- reload ---- */

/* The same file with one more line. */
static void append_conf(struct jobd *j, const char *text)
{
    char *old = read_file(j->conf);
    char *whole = NULL;

    if (asprintf(&whole, "%s%s\n", old, text) < 0)
        abort();
    write_file(j->conf, whole);
    free(whole);
    free(old);
}

static void replace_conf(struct jobd *j, const char *from, const char *to)
{
    char *old = read_file(j->conf), *at = strstr(old, from), *whole = NULL;

    cr_assert_not_null(at, "no %s in the configuration", from);
    if (asprintf(&whole, "%.*s%s%s", (int)(at - old), old, to, at + strlen(from)) < 0)
        abort();
    write_file(j->conf, whole);
    free(whole);
    free(old);
}

static void reload(struct jobd *j, const char *answer, int times)
{
    process_signal(j->process, SIGHUP);
    wait_log(j, answer, times, 20000);
}

/* SIGHUP: what may change live does, for executors, limits and logs, without a job lost. */
Test(reload, applies_what_is_live)
{
    struct scene *s = scene_new(0);
    struct jobd *j =
        scene_jobd(s, 0, (struct jobd_options){.executors = 1, .extra = "backoff = 1;"});
    char *file = strdup(fmt("%s/runs", tmp_dir()));

    scene_enqueue(s, "sleep", fmt("{\"ms\":400,\"file\":\"%s\"}", file));
    wait_lines(file, 1, 20000);
    replace_conf(j, "executors = 1;", "executors = 3;");
    append_conf(j, "max_attempts = 2;\nlog_level = \"debug\";");
    reload(j, " reloaded", 1);
    wait_executors(j, 3, 20000);
    scene_enqueue(s, "fail", "{}");
    scene_wait_dead(s, 1, 20000);
    struct entry *e = entry_at(s, "dead", 0);
    entry_check_counts(e, 2, 0, 0, 0);
    entry_free(e);
    scene_enqueue(s, "say", "{\"percent\":7}");
    wait_log(j, "percent=7", 1, 20000); /* is a line of level debug */
    replace_conf(j, "executors = 3;", "executors = 2;");
    reload(j, " reloaded", 2);
    wait_executors(j, 2, 20000);
    scene_wait_drained(s, 20000);
    wait_log(j, " job.done ", 2, 20000);
    cr_assert_eq(count_lines(file), 1u, "what ran was not disturbed");
    cr_assert_eq(process_count_log(j->process, "executor.died"), 0);
    free(file);
    scene_drain(s, 0);
    scene_free(s);
}

static void expect_told(struct scene *s, struct jobd *j, const char *text)
{
    scene_enqueue(s, "told", "{\"key\":\"forum.address\",\"cell\":\"test.count\"}");
    wait_log(j, text, 1, 20000);
}

/*
 * What handlers are told changes by new executors, once a job that runs has ended; a reload that
 * changes nothing of it leaves them alone. What they keep in cells survives them.
 */
Test(reload, replaces_executors_when_handlers_are_told_otherwise)
{
    struct scene *s = scene_new(0);
    pid_t before[2], same[2];

    struct jobd *j = scene_jobd(s, 0,
                        (struct jobd_options){.executors = 2,
                                              .extra = "forum = { address = \"one\"; };"});
    char *file = strdup(fmt("%s/runs", tmp_dir()));
    expect_told(s, j, "told one, cell 1");
    note_executors(j, before, 2);
    append_conf(j, "backoff = 2;");
    reload(j, " reloaded", 1);
    wait_beats(s, 2, 20000);
    note_executors(j, same, 2);
    cr_assert(same[0] == before[0] && same[1] == before[1]);

    scene_enqueue(s, "sleep", fmt("{\"ms\":1500,\"file\":\"%s\"}", file));
    wait_lines(file, 1, 20000);
    replace_conf(j, "\"one\"", "\"two\"");
    reload(j, " reloaded", 2);
    wait_log(j, "executor.recycle", 2, 20000);
    wait_replaced(j, before, 2, 2, 30000);
    expect_told(s, j, "told two, cell 2");
    scene_wait_drained(s, 20000);
    wait_log(j, " job.done ", 3, 20000);
    cr_assert_eq(count_lines(file), 1u, "what ran was not disturbed");
    cr_assert_eq(process_count_log(j->process, "executor.died"), 0);
    free(file);
    scene_drain(s, 0);
    scene_free(s);
}

/* Settings changed again before the successors of the first change are ready, and fewer executors. */
Test(reload, settles_however_often_settings_change)
{
    struct scene *s = scene_new(0);
    struct jobd *j = scene_jobd(
        s, 0, (struct jobd_options){.executors = 4, .extra = "forum = { address = \"0\"; };"});

    for (int i = 1; i <= 5; i++) {
        replace_conf(j, fmt("\"%d\"", i - 1), fmt("\"%d\"", i));
        if (i == 5)
            replace_conf(j, "executors = 4;", "executors = 2;");
        reload(j, " reloaded", i);
        scene_enqueue(s, "noop", "{}");
    }
    wait_executors(j, 2, 30000);
    expect_told(s, j, "told 5, cell 1");
    scene_wait_drained(s, 20000);
    wait_executors(j, 2, 30000);
    cr_assert_eq(process_count_log(j->process, "executor.died"), 0);
    cr_assert_eq(process_count_log(j->process, "executor.start_failed"), 0);
    scene_drain(s, 0);
    scene_free(s);
}

/* A change that needs a start is refused as a whole, naming the option: the live change beside it
 * does not happen. */
Test(reload, refuses_what_needs_a_start)
{
    struct scene *s = scene_new(0);
    struct jobd *j = scene_jobd(s, 0, (struct jobd_options){.executors = 2});

    replace_conf(j, "lease = \"5s\";", "lease = \"7s\";");
    replace_conf(j, "executors = 2;", "executors = 1;");
    reload(j, "reload.refused", 1);
    const char *const texts[] = {"reload.refused", "lease", NULL};
    free(log_line(j, texts));
    wait_beats(s, 2, 20000);
    wait_executors(j, 2, 20000);
    /* Without the one the other is taken. */
    replace_conf(j, "lease = \"7s\";", "lease = \"5s\";");
    reload(j, " reloaded", 1);
    wait_executors(j, 1, 20000);
    scene_enqueue(s, "noop", "{}");
    wait_log(j, " job.done ", 1, 20000);
    scene_drain(s, 0);
    scene_free(s);
}

/* A broken file keeps the old configuration, says where it is broken, and jobs go on. */
Test(reload, of_a_broken_file_keeps_the_old)
{
    struct scene *s = scene_new(0);
    struct jobd *j = scene_jobd(s, 0, (struct jobd_options){.executors = 1});
    char *good = read_file(j->conf);

    write_file(j->conf, "executors = = 2;\n");
    reload(j, "reload.refused", 1);
    const char *const texts[] = {"reload.refused", "jobd.conf:1", NULL};
    free(log_line(j, texts));
    write_file(j->conf, "");
    reload(j, "reload.refused", 2); /* as if everything were default: needs a start */
    cr_assert_eq(unlink(j->conf), 0);
    reload(j, "reload.refused", 3);
    scene_enqueue(s, "noop", "{}");
    wait_log(j, " job.done ", 1, 20000);
    write_file(j->conf, good);
    cr_assert_eq(chmod(j->conf, 0600), 0); /* there is a password in it */
    reload(j, " reloaded", 1);
    free(good);
    scene_drain(s, 0);
    scene_free(s);
}

/* ---- JSON ---- */

static void check_line(const char *line, size_t len, size_t *with_job)
{
    json_error_t why;
    json_t *root = json_loadb(line, len, JSON_REJECT_DUPLICATES, &why);

    if (!root)
        fail_test("%s in %.*s", why.text, (int)len, line);
    cr_assert(json_is_string(json_object_get(root, "ts")));
    cr_assert(json_is_string(json_object_get(root, "level")));
    cr_assert(json_is_string(json_object_get(root, "event")));
    cr_assert_str_eq(json_string_value(json_object_get(root, "program")), "jobd");
    if (json_object_get(root, "job")) {
        cr_assert_eq(json_string_length(json_object_get(root, "job")), 36u);
        cr_assert_str_eq(json_string_value(json_object_get(root, "queue")), "default");
        cr_assert(json_is_integer(json_object_get(root, "attempt")));
        ++*with_job;
    }
    json_decref(root);
}

/* log_format = "json": every line is an object, whatever a handler writes into it. */
Test(logs, as_json_can_be_parsed)
{
    static const char *const texts[] = {"\\\\\\\" quote\\n\\\\ {}[]",
                                        "tab\\there \x7f\xf0\x9f\x90\x98",
                                        "%s%n \xe2\x80\xa8 separators"};
    struct scene *s = scene_new(0);
    size_t lines = 0, with_job = 0;
    struct jobd *j =
        scene_jobd(s, 0,
                   (struct jobd_options){.executors = 1,
                                         .extra = "log_format = \"json\"; log_level = \"debug\"; "
                                                  "crash_budget = 1; max_attempts = 1;"});

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        scene_enqueue(s, "say", fmt("{\"text\":\"%s\",\"result\":\"{}\"}", texts[i]));
        scene_enqueue(s, "fail", fmt("{\"text\":\"%s\"}", texts[i]));
    }
    scene_enqueue(s, "segv", "{}");
    scene_wait_dead(s, 4, 20000);
    scene_wait_drained(s, 20000);
    int status = jobd_drain(j, patience_ms(20000));
    cr_assert_eq(status, 0);
    char *log = read_file(j->process->log);
    for (char *line = log; line && *line; lines++) {
        size_t len = strcspn(line, "\n");
        check_line(line, len, &with_job);
        line += len + (line[len] == '\n');
    }
    cr_assert_gt(lines, 20u);
    cr_assert_geq(with_job, 3u * 4 + 3 + 1);
    free(log);
    scene_free(s);
}
