/* SPDX-License-Identifier: MIT */
/*
 * Mails from a queue to a real mail server: what is delivered, retried, held and given up;
 * executors that die between the server's acceptance and its record; limits that hold for a jobd as
 * a whole and change by a reload.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/behaviour/behaviour.h"
#include "tests/integration/mail/desk.h"

#define CANARY "hunter2-canary"
#define WAIT_MS 30000
#define EXECUTORS_MAX 4

struct office {
    struct desk *desk;
    struct scene *scene;
    struct jobd *jobd;
};

static struct office *office_new(void)
{
    static const struct smtp_server_options options = {.require_tls = true,
                                                       .auth = "forum:" CANARY};
    struct office *o = calloc(1, sizeof(*o));

    if (o == NULL)
        abort();
    o->desk = desk_new("0.39", &options);
    o->scene = scene_new(0);
    return o;
}

/* extra: more lines of the group mail, and what follows it. */
static void office_open(struct office *o, int executors, const char *mail, const char *extra,
                        const char *const *env)
{
    char conninfo[512];
    char conf[2048];

    snprintf(conninfo, sizeof(conninfo), "%s user=jobq_worker", o->desk->pg->conninfo);
    snprintf(
        conf, sizeof(conf),
        "mail = {\n  url = \"%s\"; ca = \"%s\"; from = \"The Workbench <forum@example.org>\";\n"
        "  user = \"forum\"; password = \"" CANARY "\"; deadline = \"20s\";\n%s\n};\n"
        "backoff = 1;\n%s\n",
        o->desk->smtp->url, o->desk->smtp->ca, mail, extra);
    o->jobd = scene_jobd(o->scene, 0,
                         (struct jobd_options){.postgres = conninfo,
                                               .modules = "\"mail\"",
                                               .executors = executors,
                                               .extra = conf,
                                               .env = env});
}

static void office_close(struct office *o)
{
    cr_expect_eq(process_count_log(o->jobd->process, CANARY), 0, "the password is in the log");
    scene_drain(o->scene, 0);
    scene_free(o->scene);
    desk_free(o->desk);
    free(o);
}

static void enqueue(struct office *o, int first, int last)
{
    for (int reader = first; reader <= last; reader++)
        scene_enqueue(o->scene, REPLY, desk_reply(o->desk, reader));
}

static void expect_mails(struct office *o, size_t n)
{
    cr_assert(smtp_wait_mails(o->desk->smtp, n, patience_ms(WAIT_MS)), "%zu mails of %zu",
              smtp_mails(o->desk->smtp), n);
}

static void change(struct office *o, const char *from, const char *to)
{
    char *old = read_file(o->jobd->conf);
    char *at = strstr(old, from);
    char *whole = NULL;

    cr_assert_not_null(at, "no %s in the configuration", from);
    if (asprintf(&whole, "%.*s%s%s", (int)(at - old), old, to, at + strlen(from)) < 0)
        abort();
    write_file(o->jobd->conf, whole);
    free(whole);
    free(old);
}

/* Until executors with the new settings have replaced all there were. */
static void reload(struct office *o, int times, size_t executors)
{
    pid_t before[EXECUTORS_MAX];

    note_executors(o->jobd, before, executors);
    process_signal(o->jobd->process, SIGHUP);
    wait_log(o->jobd, " reloaded", times, WAIT_MS);
    wait_replaced(o->jobd, before, executors, executors, WAIT_MS);
}

/* ---- delivery ---- */

Test(mail, delivers_each_once_over_one_connection_an_executor)
{
    struct office *o = office_new();

    office_open(o, 2, "", "", NULL);
    enqueue(o, 2, 41);
    for (int reader = 2; reader <= 21; reader++)
        scene_enqueue(o->scene, PRIVATE, desk_private(o->desk, reader));
    enqueue(o, 2, 11); /* again */
    scene_wait_drained(o->scene, WAIT_MS);
    cr_expect_eq(smtp_mails(o->desk->smtp), 60);
    cr_expect_eq(desk_recorded(o->desk), 60);
    size_t connections = smtp_events(o->desk->smtp, " connect");
    cr_expect(connections >= 1 && connections <= 2, "%zu connections", connections);
    cr_expect_eq(smtp_events(o->desk->smtp, " rcpt TO:<reader-2@"), 2);
    cr_expect_eq(process_count_log(o->jobd->process, "skipped: it was accepted before"), 10);
    cr_expect_eq(process_count_log(o->jobd->process, "put right after"), 0);
    office_close(o);
}

Test(mail, retries_what_is_refused_for_now_and_gives_up_what_is_refused_for_good)
{
    struct office *o = office_new();

    smtp_rules(o->desk->smtp, "rcpt reader-2@ 2 450 4.2.1 greylisted\n"
                              "rcpt reader-3@ * 550 5.1.1 no such user\n"
                              "end reader-4@ 1 451 4.7.1 later\n"
                              "end reader-5@ * 554 5.7.1 looks like spam\n"
                              "data reader-6@ 1 close\n");
    office_open(o, 2, "", "", NULL);
    enqueue(o, 2, 7);
    expect_mails(o, 4);
    scene_wait_dead(o->scene, 2, WAIT_MS);
    scene_wait_drained(o->scene, WAIT_MS);
    cr_expect_eq(smtp_mails(o->desk->smtp), 4);
    cr_expect_eq(smtp_events(o->desk->smtp, " rcpt TO:<reader-2@"), 3);
    for (size_t i = 0; i < 2; i++) {
        struct entry *e = entry_at(o->scene, "dead", i);
        cr_expect(strstr(e->error, "550 5.1.1 no such user (at RCPT TO)") != NULL ||
                      strstr(e->error, "554 5.7.1 looks like spam (at the end") != NULL,
                  "%s", e->error);
        entry_check_counts(e, 1, 0, 0, 0);
        entry_free(e);
    }
    office_close(o);
}

/* A login that is refused costs no attempt, is told at level error, and heals. */
Test(mail, waits_for_a_server_that_refuses_the_login)
{
    struct office *o = office_new();

    smtp_rules(o->desk->smtp, "auth * 2 535 5.7.8 bad credentials\n");
    office_open(o, 2, "", "max_attempts = 1;", NULL);
    enqueue(o, 2, 9);
    expect_mails(o, 8);
    scene_wait_drained(o->scene, WAIT_MS);
    cr_expect_eq(scene_dead(o->scene), 0);
    cr_expect_eq(smtp_mails(o->desk->smtp), 8);
    const char *const alert[] = {"error", "job.log", "no mail can be sent: the mail server refuses",
                                 "535 5.7.8 bad credentials (at AUTH)", NULL};
    free(log_line(o->jobd, alert));
    office_close(o);
}

Test(mail, goes_on_after_the_mail_server_was_away)
{
    struct office *o = office_new();

    office_open(o, 2, "", "max_attempts = 1;", NULL);
    enqueue(o, 2, 4);
    expect_mails(o, 3);
    scene_wait_drained(o->scene, WAIT_MS); /* they are recorded too */
    smtp_kill(o->desk->smtp);
    enqueue(o, 5, 8);
    wait_log(o->jobd, "the mail server cannot be reached", 1, WAIT_MS);
    smtp_restart(o->desk->smtp);
    expect_mails(o, 7);
    scene_wait_drained(o->scene, WAIT_MS);
    cr_expect_eq(smtp_mails(o->desk->smtp), 7);
    cr_expect_eq(scene_dead(o->scene), 0);
    office_close(o);
}

/* ---- exactly what may happen twice ---- */

/*
 * The one executor dies after the server has accepted its second mail, before that is recorded: of
 * four mails one comes twice, with the same Message-ID. So it does when its 250 gets lost.
 */
static void expect_one_twice(struct office *o)
{
    size_t twice = 0;

    scene_wait_drained(o->scene, WAIT_MS);
    cr_assert_eq(smtp_mails(o->desk->smtp), 5);
    cr_expect_eq(desk_recorded(o->desk), 4);
    for (size_t i = 1; i <= 5; i++) {
        char *id = desk_header(o->desk, i, "Message-ID");
        char *mail = smtp_mail(o->desk->smtp, i);
        for (size_t k = 1; k < i; k++) {
            char *other_id = desk_header(o->desk, k, "Message-ID");
            char *other = smtp_mail(o->desk->smtp, k);
            if (strcmp(id, other_id) == 0) {
                twice++;
                cr_expect_str_eq(mail, other, "the very same mail");
            }
            free(other_id);
            free(other);
        }
        free(id);
        free(mail);
    }
    cr_expect_eq(twice, 1);
}

Test(mail, comes_twice_at_most_when_its_executor_dies_before_the_record)
{
    struct office *o = office_new();
    const char *const env[] = {"JOBQ_CRASH_AT=mail.accepted:2", NULL};

    /* Each executor dies at its second mail; the first of its successor's is the one left over. */
    office_open(o, 1, "", "crash_budget = 10;", env);
    enqueue(o, 2, 3);
    wait_log(o->jobd, "executor.died", 1, WAIT_MS);
    expect_mails(o, 3);
    scene_wait_drained(o->scene, WAIT_MS);
    scene_drain(o->scene, 0);
    office_open(o, 1, "", "", NULL);
    enqueue(o, 2, 5);
    expect_one_twice(o);
    office_close(o);
}

Test(mail, comes_once_when_its_executor_dies_after_the_record)
{
    struct office *o = office_new();
    const char *const env[] = {"JOBQ_CRASH_AT=mail.recorded:2", NULL};

    office_open(o, 1, "", "crash_budget = 10;", env);
    enqueue(o, 2, 7);
    scene_wait_drained(o->scene, WAIT_MS);
    cr_expect_geq(process_count_log(o->jobd->process, "executor.died"), 2);
    cr_expect_eq(smtp_mails(o->desk->smtp), 6);
    cr_expect_eq(desk_recorded(o->desk), 6);
    cr_expect_eq(scene_dead(o->scene), 0);
    office_close(o);
}

Test(mail, comes_twice_at_most_when_the_servers_answer_gets_lost)
{
    struct office *o = office_new();

    smtp_rules(o->desk->smtp, "end reader-3@ 1 accept-reset\n");
    office_open(o, 2, "", "", NULL);
    enqueue(o, 2, 5);
    expect_mails(o, 5);
    expect_one_twice(o);
    office_close(o);
}

/* ---- limits of a jobd ---- */

static bool has_sent(void *ctx)
{
    const struct office *o = ctx;

    return smtp_events(o->desk->smtp, " kept ") + (size_t)scene_later(o->scene) >= 9;
}

static bool are_all_there(void *ctx)
{
    const struct office *o = ctx;

    return smtp_mails(o->desk->smtp) + (size_t)scene_later(o->scene) == 26;
}

Test(mail, keeps_its_limit_over_all_executors_until_a_reload_changes_it)
{
    struct office *o = office_new();

    office_open(o, 3, "rate = \"1/h\";", "", NULL);
    enqueue(o, 2, 10);
    cr_assert(wait_until(patience_ms(WAIT_MS), has_sent, o));
    cr_expect_eq(smtp_mails(o->desk->smtp), 1);
    cr_expect_eq(scene_later(o->scene), 8);
    cr_expect_eq(scene_dead(o->scene), 0);
    change(o, "1/h", "1000/s");
    reload(o, 1, 3);
    enqueue(o, 11, 20);
    expect_mails(o, 11);
    change(o, "rate = \"1000/s\";", "enabled = false;");
    reload(o, 2, 3);
    enqueue(o, 21, 25);
    wait_later(o->scene, 13, WAIT_MS);
    cr_expect_eq(smtp_mails(o->desk->smtp), 11, "nothing leaves while it is switched off");
    change(o, "enabled = false;", "enabled = true;");
    reload(o, 3, 3);
    enqueue(o, 26, 27);
    expect_mails(o, 13);
    /* Of those that were held some may have come due. */
    cr_assert(wait_until(patience_ms(WAIT_MS), are_all_there, o), "what was held is there");
    cr_expect_eq(scene_dead(o->scene), 0);
    office_close(o);
}

/* A reload that the module refuses: the executors that are there go on with what they were told. */
Test(mail, goes_on_with_the_old_settings_when_the_new_ones_are_wrong)
{
    struct office *o = office_new();

    office_open(o, 2, "", "", NULL);
    enqueue(o, 2, 3);
    expect_mails(o, 2);
    change(o, "The Workbench <forum@example.org>", "nobody");
    process_signal(o->jobd->process, SIGHUP);
    wait_log(o->jobd, "mail.from: ", 1, WAIT_MS);
    enqueue(o, 4, 9);
    expect_mails(o, 8);
    change(o, "nobody", "new@example.org");
    process_signal(o->jobd->process, SIGHUP);
    wait_log(o->jobd, " reloaded", 2, WAIT_MS);
    cr_assert(process_is_alive(o->jobd->process));
    wait_executors(o->jobd, 2, WAIT_MS);
    wait_log(o->jobd, "executor.recycle", 2, WAIT_MS);
    office_close(o);
}
