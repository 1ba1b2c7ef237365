/* SPDX-License-Identifier: MIT */
/*
 * What others make of the numbers: prometheus_client's parser, promtool, a real Prometheus that
 * scrapes two jobd; and where jobd listens.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/e2e/behaviour/behaviour.h"
#include "tests/e2e/metrics/web.h"

#define PYTHON "/usr/bin/python3"

/* Runs it; fails the test with what it printed unless it exits 0. */
static void run(const char *input, const char *const *argv)
{
    char *out = NULL;
    int status = run_command(&out, input, argv);
    cr_assert_eq(status, 0, "%s %s: exit status %d\n%s", argv[0], argv[1], status, out);
    free(out);
}

static void have_a_past(struct scene *s)
{
    scene_enqueue_many(s, "noop", "{}", 20);
    scene_enqueue(s, "fail_n", "{\"n\":1,\"delay_ms\":1}");
    scene_enqueue(s, "dead", "{}");
    scene_enqueue(s, "nobody.knows", "{}");
}

/* A package that is large: where it is missing, the rest is tested all the same. */
static bool is_there(const char *program)
{
    if (access(program, X_OK) == 0)
        return true;
    fprintf(stderr, "SKIPPED: %s is not there (package prometheus)\n", program);
    return false;
}

Test(scrape, is_read_by_prometheus_client_and_promtool)
{
    struct scene *s = scene_new(0);
    char *text;
    scene_jobd(s, 0,
               (struct jobd_options){.executors = 1, .lease = "1s", .extra = web_conf(0, "")});
    have_a_past(s);
    scene_wait_dead(s, 1, 20000);
    scene_wait_drained(s, 20000);
    /* Depths come with the second scrape. */
    web_wait(0, "jobq_queue_dead_jobs{queue=\"default\",partition=\"0\"}", 1);
    cr_assert_eq(web_get(0, "/metrics", &text), 200);
    char *script = strdup(source_path("tests/e2e/metrics/parse.py"));
    run(text, (const char *const[]){PYTHON, script, source_path("."), NULL});
    if (is_there("/usr/bin/promtool"))
        run(text, (const char *const[]){"/usr/bin/promtool", "check", "metrics", NULL});
    free(script);
    free(text);
    scene_drain(s, 0);
    scene_free(s);
}

Test(scrape, has_rules_and_a_dashboard_that_name_what_there_is)
{
    char *script = strdup(source_path("tests/e2e/metrics/exprs.py"));
    char *dir = strdup(source_path("contrib/prometheus"));
    run("", (const char *const[]){PYTHON, script, source_path("."), NULL});
    if (is_there("/usr/bin/promtool")) {
        run("", (const char *const[]){"/usr/bin/promtool", "check", "rules",
                                      fmt("%s/jobq.rules.yml", dir), NULL});
        run("", (const char *const[]){"/usr/bin/promtool", "check", "config",
                                      fmt("%s/scrape.yml", dir), NULL});
        run("", (const char *const[]){"/usr/bin/promtool", "test", "rules",
                                      fmt("%s/jobq.rules.test.yml", dir), NULL});
    }
    free(script);
    free(dir);
}

/* ---- a real Prometheus ---- */

static struct process *start_prometheus(int port, int first, int second)
{
    char *config = strdup(fmt("%s/prometheus.yml", tmp_dir()));
    write_file(config,
               fmt("global: {scrape_interval: 1s, evaluation_interval: 500ms}\n"
                   "rule_files: [\"%s\"]\n"
                   "scrape_configs:\n"
                   "  - job_name: jobq\n"
                   "    static_configs: [{targets: [\"127.0.0.1:%d\", \"127.0.0.1:%d\"]}]\n",
                   source_path("contrib/prometheus/jobq.rules.yml"), first, second));
    const char *const argv[] = {"/usr/bin/prometheus",
                                fmt("--config.file=%s", config),
                                fmt("--storage.tsdb.path=%s/tsdb", tmp_dir()),
                                fmt("--web.listen-address=127.0.0.1:%d", port),
                                "--log.level=warn",
                                NULL};
    struct process *p = process_start("prometheus", argv, NULL);
    free(config);
    return p;
}

struct question {
    int port;
    const char *expr;
    const char *answer;
    char got[400];
};

static bool is_answered(void *ctx)
{
    struct question *q = ctx;
    char *out = NULL;
    run_command(&out, "",
                (const char *const[]){PYTHON, source_path("tests/e2e/metrics/ask.py"),
                                      fmt("%d", q->port), q->expr, NULL});
    snprintf(q->got, sizeof(q->got), "%.*s", (int)strcspn(out, "\n"), out);
    free(out);
    return strcmp(q->got, q->answer) == 0;
}

static void wait_answer(int port, const char *expr, const char *answer)
{
    struct question q = {.port = port, .expr = expr, .answer = answer};
    if (!wait_until(patience_ms(40000), is_answered, &q))
        fail_test("Prometheus says to %s: %s, not %s", expr, q.got, answer);
}

static bool are_all_answered(void *ctx)
{
    struct question *q = ctx;
    char *out = NULL;
    int status = run_command(&out, q->expr,
                             (const char *const[]){PYTHON, source_path("tests/e2e/metrics/ask.py"),
                                                   fmt("%d", q->port), "-", NULL});
    snprintf(q->got, sizeof(q->got), "%s", out);
    free(out);
    return status == 0;
}

/* A line an expression; a rate needs two scrapes of its own series. */
static void wait_all_answered(int port, const char *exprs)
{
    struct question q = {.port = port, .expr = exprs};
    if (!wait_until(patience_ms(40000), are_all_answered, &q))
        fail_test("without an answer: %s", q.got);
}

Test(scrape, is_scraped_by_a_real_prometheus)
{
    if (!is_there("/usr/bin/prometheus"))
        return;
    struct scene *s = scene_new(0);
    int ports[] = {choose_port(), choose_port(), choose_port()};
    for (size_t i = 0; i < 2; i++) {
        char conf[64];
        snprintf(conf, sizeof(conf), "http = \"127.0.0.1:%d\";", ports[i]);
        scene_jobd(s, i, (struct jobd_options){.executors = 1, .lease = "1s", .extra = conf});
    }
    struct process *p = start_prometheus(ports[2], ports[0], ports[1]);
    have_a_past(s);
    scene_wait_drained(s, 30000);
    int port = ports[2];
    wait_answer(port, "count(up{job=\"jobq\"} == 1)", "2");
    wait_answer(port, "sum(jobq_ready)", "2");
    /* Of both together, whoever ran what. */
    wait_answer(port, "sum(jobq_jobs_total{type=\"noop\",outcome=\"succeeded\"})", "20");
    wait_answer(port, "sum(jobq_jobs_total{outcome=\"dead\"})", "1");
    wait_answer(port, "sum(jobq_job_run_seconds_count)", "23");
    wait_answer(port, "max(jobq_queue_dead_jobs{queue=\"default\"})", "1");
    wait_answer(port, "count(count by (instance) (process_resident_memory_bytes > 1000000))", "2");
    /* Every panel of the dashboard has something to show. */
    char *exprs = NULL;
    cr_assert_eq(
        run_command(&exprs, "",
                    (const char *const[]){PYTHON, source_path("tests/e2e/metrics/exprs.py"),
                                          source_path("."), "list", NULL}),
        0);
    wait_answer(port, "count(rate(jobq_jobs_total[5m])) > bool 0", "1");
    wait_all_answered(port, exprs);
    free(exprs);
    /* One that is gone is told of. */
    scene_kill(s, 1);
    wait_answer(port, "count(up{job=\"jobq\"} == 0)", "1");
    wait_answer(port, "count(ALERTS{alertname=\"JobdDown\"})", "1");
    process_free(p);
    scene_drain(s, 0);
    scene_free(s);
}

/* ---- where ---- */

static bool port_answers(void *ctx)
{
    char *body;
    int status = web_get_port(*(int *)ctx, "/healthz", &body);
    free(body);
    return status == 200;
}

static void wait_port(int port)
{
    if (!wait_until(patience_ms(30000), port_answers, &port))
        fail_test("nobody answers at port %d", port);
}

/* A port that is taken costs the numbers, not the work; it is had once it is free. */
Test(scrape, works_without_its_port_and_takes_it_later)
{
    struct scene *s = scene_new(0);
    int port = choose_port();
    char conf[64];
    snprintf(conf, sizeof(conf), "http = \"127.0.0.1:%d\";", port);
    struct jobd *first = scene_jobd(s, 0, (struct jobd_options){.extra = conf});
    wait_log(first, " http.listening ", 1, 20000);
    struct jobd *second = scene_jobd(s, 1, (struct jobd_options){.extra = conf});
    wait_log(second, " http.unavailable ", 1, 20000);
    cr_assert_eq(process_count_log(second->process, " http.listening "), 0);
    scene_drain(s, 0);
    scene_enqueue(s, "noop", "{}");
    scene_wait_drained(s, 20000);
    wait_log(second, " http.listening ", 1, 30000);
    wait_port(port);
    cr_assert_eq(process_count_log(second->process, " http.unavailable "), 1, "it is said once");
    scene_drain(s, 1);
    scene_free(s);
}

static void reload_with(struct jobd *j, const char *from, const char *to)
{
    char *text = read_file(j->conf);
    char *at = strstr(text, from);
    cr_assert_not_null(at, "%s in %s", from, text);
    char *next = strdup(fmt("%.*s%s%s", (int)(at - text), text, to, at + strlen(from)));
    write_file(j->conf, next);
    free(next);
    free(text);
    process_signal(j->process, SIGHUP);
}

Test(scrape, moves_with_a_reload)
{
    struct scene *s = scene_new(0);
    char *body;
    struct stat st;
    struct jobd *j = scene_jobd(s, 0, (struct jobd_options){.extra = web_conf(0, "")});
    web_wait(0, "jobq_config_reloads_total{result=\"ok\"}", 0);
    int port = choose_port();
    char *unix_address = strdup(fmt("unix:%s/http-0", tmp_dir()));
    char *tcp_address = strdup(fmt("127.0.0.1:%d", port));

    reload_with(j, unix_address, tcp_address);
    wait_port(port);
    cr_assert_neq(stat(unix_address + 5, &st), 0, "the old socket is removed");
    cr_assert_eq(web_get_port(port, "/metrics", &body), 200);
    cr_assert_eq(web_value(body, "jobq_config_reloads_total{result=\"ok\"}"), 1);
    free(body);

    reload_with(j, tcp_address, "nowhere");
    wait_log(j, " reload.refused ", 1, 20000);
    cr_assert_eq(web_get_port(port, "/metrics", &body), 200);
    cr_assert_eq(web_value(body, "jobq_config_reloads_total{result=\"refused\"}"), 1);
    free(body);

    reload_with(j, "nowhere", "off");
    wait_log(j, " reloaded", 2, 20000);
    cr_assert_eq(web_get_port(port, "/metrics", &body), 0);
    reload_with(j, "\"off\"", fmt("\"%s\"", unix_address));
    web_wait(0, "jobq_ready", 1);
    scene_drain(s, 0);
    cr_assert_neq(stat(unix_address + 5, &st), 0, "nothing is left behind");
    free(unix_address);
    free(tcp_address);
    scene_free(s);
}
