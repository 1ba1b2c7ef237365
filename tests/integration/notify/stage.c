/* SPDX-License-Identifier: MIT */
/* stage: see stage.h. */
#include "tests/integration/notify/stage.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct words words_039 = {
    .posted = "posted_on",
    .updated = "updated_on",
    .started = "started_on",
    .last_posted = "last_post_on",
    .read = "read_at",
    .pinned = "weight",
    .locked = "is_closed",
    .member = "misago_threads_threadparticipant",
    .reply_verb = "REPLIED",
    .private_verb = "INVITED",
    .post_columns = ", is_event",
    .post_values = ", false",
    .thread_columns = ", last_post_is_event",
    .thread_values = ", false",
    .watch_columns = "",
    .watch_values = "",
    .member_columns = "",
    .member_values = "",
};

static const struct words words_040 = {
    .posted = "posted_at",
    .updated = "updated_at",
    .started = "started_at",
    .last_posted = "last_posted_at",
    .read = "read_time",
    .pinned = "pinned",
    .locked = "is_locked",
    .member = "misago_privatethreads_privatethreadmember",
    .reply_verb = "REPLIED_TO_THREAD",
    .private_verb = "ADDED_TO_PRIVATE_THREAD",
    .post_columns = "",
    .post_values = "",
    .thread_columns = ", solution_is_locked",
    .thread_values = ", false",
    .watch_columns = ", plugin_data",
    .watch_values = ", '{}'",
    .member_columns = ", created_at",
    .member_values = ", now()",
};

static void make_plain(struct stage *s)
{
    pg_do(s->pg,
          "DELETE FROM misago_notifications_notification;"
          " DELETE FROM misago_notifications_watchedthread; DELETE FROM misago_users_bancache;"
          " DELETE FROM misago_users_ban; DELETE FROM misago_users_user_follows;"
          " UPDATE misago_threads_thread SET is_hidden = false, is_unapproved = false,"
          "  category_id = 4 WHERE id = 1;"
          " UPDATE misago_threads_post SET category_id = 4 WHERE thread_id = 1;"
          " UPDATE misago_users_user SET is_active = true, unread_notifications = 0, rank_id = 2,"
          "  notify_new_private_threads_by_followed = 1,"
          "  notify_new_private_threads_by_other_users = 1,"
          "  watch_new_private_threads_by_followed = 1,"
          "  watch_new_private_threads_by_other_users = 1");
    if (s->is_040) {
        pg_do(s->pg, "UPDATE misago_users_user SET group_id = 3, groups_ids = '{3}'");
    } else {
        pg_do(s->pg, "DELETE FROM misago_users_user_roles;"
                     " INSERT INTO misago_users_user_roles (user_id, role_id)"
                     " SELECT id, 1 FROM misago_users_user");
    }
    cr_assert_eq(pg_int(s->pg,
                        "SELECT count(*) FROM misago_threads_thread t"
                        " JOIN misago_threads_post p ON p.id = t.first_post_id WHERE t.id = 1"),
                 1, "the fixture changed: choose another thread");
}

struct handler *stage_handler(struct postgres *pg, const char *const *settings)
{
    return handler_open("notify", fmt("%s user=jobq_worker", pg->conninfo), settings);
}

struct stage *stage_start(const char *version, int users)
{
    struct stage *s = calloc(1, sizeof(*s));

    if (!s)
        fail_test("out of memory");
    s->pg = postgres_start(false);
    s->is_040 = strcmp(version, V040) == 0;
    s->words = s->is_040 ? &words_040 : &words_039;
    fixture_load(s->pg,
                 &(struct fixture){.version = version, .threads = 20, .posts = 60, .users = users});
    fixture_grant(s->pg, "notify", version);
    make_plain(s);
    s->handler = stage_handler(s->pg, NULL);
    return s;
}

void stage_stop(struct stage *s)
{
    handler_close(s->handler);
    postgres_stop(s->pg);
    free(s);
}

/* ---- what the forum does ---- */

long long stage_reply(struct stage *s, long long thread, long long poster)
{
    const struct words *w = s->words;

    return pg_int(
        s->pg,
        "INSERT INTO misago_threads_post (poster_name, original, %s, %s, has_reports,"
        " has_open_reports, is_unapproved, is_hidden, category_id, poster_id, thread_id%s)"
        " SELECT coalesce(u.username, 'Passer By'), 'Sanded it again.', clock_timestamp(),"
        " clock_timestamp(), false, false, false, false, t.category_id, u.id, t.id%s"
        " FROM misago_threads_thread t LEFT JOIN misago_users_user u ON u.id = %lld"
        " WHERE t.id = %lld RETURNING id",
        w->posted, w->updated, w->post_columns, w->post_values, poster, thread);
}

long long stage_watch(struct stage *s, long long thread, long long user, bool by_mail)
{
    const struct words *w = s->words;

    return pg_int(
        s->pg,
        "INSERT INTO misago_notifications_watchedthread (user_id, thread_id, category_id,"
        " send_emails, secret, created_at, %s%s)"
        " SELECT %lld, t.id, t.category_id, %s, md5(t.id || ' %lld'), now(),"
        " clock_timestamp()%s FROM misago_threads_thread t WHERE t.id = %lld RETURNING id",
        w->read, w->watch_columns, user, by_mail ? "true" : "false", user, w->watch_values, thread);
}

void stage_read(struct stage *s, long long thread, long long user)
{
    pg_do(s->pg,
          "UPDATE misago_notifications_watchedthread SET %s = clock_timestamp()"
          " WHERE user_id = %lld AND thread_id = %lld;"
          " UPDATE misago_notifications_notification SET is_read = true"
          " WHERE user_id = %lld AND thread_id = %lld;"
          " UPDATE misago_users_user SET unread_notifications = (SELECT count(*)"
          "  FROM misago_notifications_notification WHERE user_id = %lld AND NOT is_read)"
          " WHERE id = %lld",
          s->words->read, user, thread, user, thread, user, user);
}

long long stage_private(struct stage *s, long long starter)
{
    const struct words *w = s->words;
    long long thread = pg_int(
        s->pg,
        "INSERT INTO misago_threads_thread (title, slug, replies, has_events, has_poll,"
        " has_reported_posts, has_open_reports, has_unapproved_posts, has_hidden_posts, %s, %s,"
        " starter_id, starter_name, starter_slug, %s, is_unapproved, is_hidden, %s, category_id%s)"
        " SELECT 'About the lathe', 'about-the-lathe', 0, false, false, false, false, false, false,"
        " clock_timestamp(), clock_timestamp(), u.id, u.username, u.slug, 0, false, false, false,"
        " c.id%s FROM misago_users_user u, misago_categories_category c"
        " WHERE u.id = %lld AND c.special_role = 'private_threads' RETURNING id",
        w->started, w->last_posted, w->pinned, w->locked, w->thread_columns, w->thread_values,
        starter);
    long long post = stage_reply(s, thread, starter);

    pg_do(s->pg,
          "UPDATE misago_threads_thread SET first_post_id = %lld, last_post_id = %lld"
          " WHERE id = %lld",
          post, post, thread);
    pg_do(s->pg, "INSERT INTO %s (thread_id, user_id, is_owner%s) VALUES (%lld, %lld, true%s)",
          w->member, w->member_columns, thread, starter, w->member_values);
    return thread;
}

void stage_admit(struct stage *s, long long thread, long long user)
{
    const struct words *w = s->words;

    pg_do(s->pg, "INSERT INTO %s (thread_id, user_id, is_owner%s) VALUES (%lld, %lld, false%s)",
          w->member, w->member_columns, thread, user, w->member_values);
}

/* ---- the jobs ---- */

int stage_run(struct stage *s, const char *type, const char *payload)
{
    return handler_run(s->handler, type, payload);
}

int stage_notify(struct stage *s, long long post)
{
    return stage_run(s, REPLY, fmt("{\"post_id\":%lld}", post));
}

void stage_must(struct stage *s, const char *type, const char *payload, const char *result)
{
    int verdict = stage_run(s, type, payload);

    cr_assert_eq(verdict, JOBQ_DONE, "%s %s: verdict %d: %s", type, payload, verdict,
                 s->handler->text);
    cr_assert_str_eq(s->handler->result, result);
}

void stage_must_notify(struct stage *s, long long post, int notified, int mails)
{
    char payload[64];
    char result[64];

    snprintf(payload, sizeof(payload), "{\"post_id\":%lld}", post);
    snprintf(result, sizeof(result), "{\"notified\":%d,\"mails\":%d}", notified, mails);
    stage_must(s, REPLY, payload, result);
    cr_assert_eq(s->handler->child_count, (size_t)mails);
    stage_must_count_right(s);
}

/* ---- what came of it ---- */

char *stage_told(struct stage *s, long long post)
{
    return pg_str(s->pg,
                  "SELECT coalesce(string_agg(user_id::text, ' ' ORDER BY user_id, id), '')"
                  " FROM misago_notifications_notification WHERE post_id = %lld",
                  post);
}

void stage_must_have_told(struct stage *s, long long post, const char *users)
{
    char *told = stage_told(s, post);

    cr_assert_str_eq(told, users);
    free(told);
}

void stage_must_count_right(struct stage *s)
{
    cr_assert_eq(pg_int(s->pg, "SELECT count(*) FROM misago_users_user u"
                               " WHERE u.unread_notifications <> (SELECT count(*)"
                               "  FROM misago_notifications_notification n"
                               "  WHERE n.user_id = u.id AND NOT n.is_read)"),
                 0, "counters of unread notifications are wrong");
}

void stage_must_child(const struct handler *h, size_t i, const char *type, const char *payload,
                      const char *key)
{
    cr_assert_lt(i, h->child_count);
    cr_assert_str_eq(h->children[i].type, type);
    cr_assert_str_eq(h->children[i].payload, payload);
    cr_assert_str_eq(h->children[i].key, key);
}
