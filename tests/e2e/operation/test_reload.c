/* SPDX-License-Identifier: MIT */
/* Reloads while jobs keep coming: what is live changes, a wrong file changes nothing, no job is
 * disturbed by either. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/e2e/behaviour/behaviour.h"
#include "tests/e2e/metrics/web.h"
#include "tests/e2e/operation/load.h"

/* The configuration is the scene's and this, which changes. */
struct settings {
    int executors;
    const char *log_level, *mail_from, *more;
};

struct deployment {
    struct scene *scene;
    struct jobd *jobd;
    struct load *load;
    char *base; /* what never changes */
    int taken, refused;
};

static char *spell(const struct deployment *d, const struct settings *c)
{
    char *text = NULL;

    if (asprintf(&text, "%sexecutors = %d;\nlog_level = \"%s\";\nmail = { from = \"%s\"; };\n%s",
                 d->base, c->executors, c->log_level, c->mail_from, c->more) < 0)
        abort();
    return text;
}

static void send_file(struct deployment *d, const char *text, bool good)
{
    write_file(d->jobd->conf, text);
    cr_assert_eq(chmod(d->jobd->conf, 0600), 0);
    process_signal(d->jobd->process, SIGHUP);
    *(good ? &d->taken : &d->refused) += 1;
    web_wait(0, fmt("jobq_config_reloads_total{result=\"%s\"}", good ? "ok" : "refused"),
             good ? d->taken : d->refused);
}

static void take(struct deployment *d, const struct settings *c)
{
    char *text = spell(d, c);

    send_file(d, text, true);
    free(text);
}

/* More jobs come and take effect. */
static void work_on(struct deployment *d)
{
    long long before = scene_effects(d->scene);

    load_wait(d->load, 20);
    scene_wait_effects(d->scene, before + 20, 30000);
}

static size_t log_length(const struct deployment *d)
{
    char *log = read_file(d->jobd->process->log);
    size_t n = strlen(log);

    free(log);
    return n;
}

/* Is there a line of that level beyond this point? */
static bool says(const struct deployment *d, size_t from, const char *level)
{
    char *log = read_file(d->jobd->process->log);
    bool found = strstr(log + from, level) != NULL;

    free(log);
    return found;
}

/* ---- what is live ---- */

/* A job that writes a line of level debug. */
static void debug_line(struct deployment *d)
{
    scene_enqueue(d->scene, "say", "{\"percent\":7}");
    d->scene->acked_count--; /* it has no effect */
}

/* Both ways: what is below the level is not written any more, from the reload on. */
static void change_log_level(struct deployment *d, struct settings *c)
{
    size_t from = log_length(d);

    work_on(d);
    cr_assert_not(says(d, from, " debug jobd "));
    c->log_level = "debug";
    take(d, c);
    cr_assert_not(says(d, from, " debug jobd "));
    debug_line(d);
    wait_log(d->jobd, " debug jobd ", 1, 20000);
    c->log_level = "error";
    take(d, c);
    from = log_length(d);
    debug_line(d);
    work_on(d);
    cr_assert_not(says(d, from, " debug jobd ") || says(d, from, " info jobd "));
    c->log_level = "info";
    take(d, c);
    debug_line(d);
    work_on(d);
    cr_assert_not(says(d, from, " debug jobd "));
    cr_assert(says(d, from, " info jobd "));
}

static void change_executors(struct deployment *d, struct settings *c)
{
    static const int numbers[] = {4, 1, 3};

    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        c->executors = numbers[i];
        take(d, c);
        wait_executors(d->jobd, (size_t)numbers[i], 30000);
        work_on(d);
    }
}

/* The hard limit of a type, and the order of lanes. */
static void change_limits(struct deployment *d, struct settings *c)
{
    c->more =
        "lane_order = \"strict\";\n"
        "types = ( { name = \"sleep\"; soft_limit = \"100ms\"; hard_limit = \"300ms\"; } );\n";
    take(d, c);
    scene_enqueue(d->scene, "sleep", "{\"ms\":600000}");
    d->scene->acked_count--; /* the one without effect */
    scene_wait_dead(d->scene, 1, 30000);
    c->more = "";
    take(d, c);
    work_on(d);
}

static bool is_told(const struct deployment *d, const char *text)
{
    int before = process_count_log(d->jobd->process, "text=\"told "), now;

    scene_enqueue(d->scene, "told", "{\"key\":\"mail.from\",\"cell\":\"test.count\"}");
    d->scene->acked_count--; /* it has no effect */
    wait_log(d->jobd, "text=\"told ", before + 1, 30000);
    now = process_count_log(d->jobd->process, text);
    return now > 0;
}

/* What handlers are told, mail.* too: by new executors, one after the other. */
static void change_mail(struct deployment *d, struct settings *c)
{
    static const char *const senders[] = {"Two <two@example.org>", "Three <three@example.org>"};

    for (size_t i = 0; i < ARRAY_LEN(senders); i++) {
        c->mail_from = senders[i];
        take(d, c);
        do
            work_on(d);
        while (!is_told(d, fmt("text=\"told %s", senders[i])));
    }
}

/* ---- what is wrong ---- */

/* Refused whole: also what would be right in it and was asked for, one executor. */
static void refuse(struct deployment *d, const struct settings *c, const char *more,
                   const char *why)
{
    struct settings wrong = *c;
    size_t from = log_length(d);

    wrong.executors = 1;
    wrong.more = more;
    char *text = spell(d, &wrong);
    send_file(d, text, false);
    free(text);
    cr_assert(says(d, from, why), "%s: %s", more, why);
    cr_assert_eq(process_count_log(d->jobd->process, "reload.refused"), d->refused,
                 "one message each");
    wait_beats(d->scene, 1, 20000);
    wait_executors(d->jobd, (size_t)c->executors, 20000);
}

static void refuse_all(struct deployment *d, const struct settings *c)
{
    static const struct {
        const char *text, *why;
    } wrong[] = {
        {"lane_order = strict;\n", "jobd.conf:"},
        {"max_helt = 5;\n", "max_helt: unknown option"},
        {"max_attempts = 0;\n", "max_attempts: must be"},
        {"key_prefix = \"other\";\n", "needs a restart, nothing was applied: key_prefix"},
        {"types = ( { name = \"sleep\"; hard_limit = \"-1s\"; } );\n", "hard_limit"},
        {"@include \"/nowhere/more.conf\"\n", "/nowhere/more.conf"},
    };

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        refuse(d, c, wrong[i].text, wrong[i].why);
    work_on(d);
}

/* ---- */

static void begin(struct deployment *d)
{
    d->scene = scene_new(SCENE_PG);
    d->jobd =
        scene_jobd(d->scene, 0,
                   (struct jobd_options){
                       .executors = 2,
                       .extra = web_conf(0, "backoff = 20; crash_budget = 1; loss_budget = 1;\n")});
    char *whole = read_file(d->jobd->conf), *line = strstr(whole, "executors = 2;\n");
    cr_assert_not_null(line);
    memmove(line, line + strlen("executors = 2;\n"), strlen(line + strlen("executors = 2;\n")) + 1);
    d->base = whole;
    d->load = load_start(d->scene);
}

Test(reload, under_load_disturbs_no_job)
{
    struct deployment d = {0};
    struct settings c = {2, "info", "One <one@example.org>", ""};

    begin(&d);
    take(&d, &c);
    change_log_level(&d, &c);
    change_executors(&d, &c);
    change_limits(&d, &c);
    refuse_all(&d, &c);
    change_mail(&d, &c);
    load_stop(d.load);
    struct scene *s = d.scene;
    scene_wait_effects(s, (long long)(s->acked_count + s->children), 60000);
    scene_wait_drained(s, 60000);
    cr_assert_eq(scene_dead(s), 1, "the one that its limit ended");
    cr_assert_eq(process_count_log(d.jobd->process, "executor.died"), 1, "under it");
    scene_check_effects(s);
    scene_drain(s, 0);
    free(d.base);
    scene_free(s);
}
