/* SPDX-License-Identifier: MIT */
/*
 * The judge knows each rule: one scene in which one watcher is to be told of one post, and what
 * changes that. Every change is undone, so that one forum of each version serves.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/recipients/judge.h"
#include "tests/support/fixture.h"
#include "tests/support/session.h"
#include "tests/support/support.h"

/*
 * In the scene user 9 watches thread 3, of category 4, of which they have read all but its newest
 * post, 9001, by user 8; thread and post are there for everybody. User 9 has no role or group but
 * that of everybody. POST and WATCH are names of columns that differ.
 */
static const char scene_both[] =
    "DELETE FROM misago_users_ban; DELETE FROM misago_users_bancache;"
    "DELETE FROM misago_notifications_watchedthread;"
    "DELETE FROM misago_threads_post WHERE thread_id = 3 AND id > (SELECT first_post_id"
    " FROM misago_threads_thread WHERE id = 3);"
    "UPDATE misago_threads_thread SET category_id = 4, is_hidden = false, is_unapproved = false,"
    " starter_id = 8 WHERE id = 3;"
    "UPDATE misago_threads_post SET category_id = 4, is_hidden = false, is_unapproved = false,"
    " poster_id = 8 WHERE thread_id = 3;"
    "UPDATE misago_users_user SET is_active = true WHERE id IN (8, 9);";
static const char scene_039[] =

    "DELETE FROM misago_users_user_roles WHERE user_id = 9; INSERT INTO misago_users_user_roles"
    " VALUES (9000, 9, 1); UPDATE misago_users_user SET rank_id = NULL WHERE id = 9;"
    "UPDATE misago_threads_thread SET weight = 0 WHERE id = 3;"
    "INSERT INTO misago_threads_post SELECT 9001, 'x', 'x', '2024-01-02', '2024-01-02', false, "
    "false,"
    " false, false, false, NULL, 4, 8, 3;"
    "INSERT INTO misago_notifications_watchedthread (send_emails, secret, created_at, read_at,"
    " category_id, thread_id, user_id) VALUES (false, 'x', '2024-01-01', '2024-01-01', 4, 3, 9);";
static const char scene_040[] =
    "UPDATE misago_users_user SET groups_ids = '{3}', group_id = 3 WHERE id = 9;"
    "DELETE FROM misago_permissions_moderator WHERE user_id IS NOT NULL;"
    "UPDATE misago_threads_thread SET pinned = 0 WHERE id = 3;"
    "INSERT INTO misago_threads_post (id, poster_name, original, posted_at, updated_at, "
    "has_reports,"
    " has_open_reports, is_unapproved, is_hidden, category_id, poster_id, thread_id) VALUES (9001, "
    "'x',"
    " 'x', '2024-01-02', '2024-01-02', false, false, false, false, 4, 8, 3);"
    "INSERT INTO misago_notifications_watchedthread (send_emails, secret, created_at, read_time,"
    " category_id, thread_id, user_id, plugin_data)"
    " VALUES (false, 'x', '2024-01-01', '2024-01-01', 4, 3, 9, '{}');";

struct rule {
    const char *change;
    const char *told; /* "", "9", or "9 mail" */
};

#define THREAD_IN(category)                                                                        \
    "UPDATE misago_threads_thread SET category_id = " category " WHERE id = 3;"                    \
    "UPDATE misago_threads_post SET category_id = " category " WHERE thread_id = 3;"
#define BAN(type, value, end, registration)                                                        \
    "INSERT INTO misago_users_ban (check_type, banned_value, expires_on, is_checked,"              \
    " registration_only) SELECT " type ", " value ", " end ", true, " registration                 \
    " FROM misago_users_user WHERE id = 9;"
#define REMEMBERED(ban, end, version)                                                              \
    "INSERT INTO misago_users_bancache (ban_id, expires_on, user_id, cache_version)"               \
    " VALUES (" ban ", " end ", 9, " version ");"
#define BANS_VERSION "(SELECT version FROM misago_cache_cacheversion WHERE cache = 'bans')"

static const struct rule rules_of_both[] = {
    {"SELECT 1", "9"},
    {"UPDATE misago_notifications_watchedthread SET send_emails = true", "9 mail"},
    {"UPDATE misago_notifications_watchedthread SET user_id = 8", ""},
    {"UPDATE misago_notifications_watchedthread SET thread_id = 4", ""},
    {"UPDATE misago_users_user SET is_active = false WHERE id = 9", ""},
    {"UPDATE misago_users_user SET requires_activation = 1 WHERE id = 9", "9"},
    {"UPDATE misago_threads_post SET poster_id = 9 WHERE id = 9001", ""},
    {"UPDATE misago_threads_post SET poster_id = NULL WHERE id = 9001", "9"},
    {"UPDATE misago_threads_post SET is_unapproved = true WHERE id = 9001", ""},
    {"UPDATE misago_threads_thread SET is_hidden = true WHERE id = 3", ""},
    {"UPDATE misago_threads_thread SET is_hidden = true, starter_id = 9 WHERE id = 3", ""},
    {"UPDATE misago_threads_thread SET is_unapproved = true WHERE id = 3", ""},
    {"UPDATE misago_threads_thread SET is_unapproved = true, starter_id = 9 WHERE id = 3", "9"},
    /* bans */
    {BAN("0", "lower(username)", "NULL", "false"), ""},
    {BAN("0", "left(lower(username), 2) || '*'", "NULL", "false"), ""},
    {BAN("0", "'*' || lower(username) || '*'", "NULL", "false"), ""},
    {BAN("0", "lower(username) || '?'", "NULL", "false"), "9"},
    {BAN("0", "'%'", "NULL", "false"), "9"},
    {BAN("0", "'.*'", "NULL", "false"), "9"},
    {BAN("0", "email", "NULL", "false"), "9"},
    {BAN("1", "lower(email)", "NULL", "false"), ""},
    {BAN("1", "'*@' || split_part(lower(email), '@', 2)", "NULL", "false"), ""},
    {BAN("1", "'*@' || replace(split_part(lower(email), '@', 2), '.', '_')", "NULL", "false"), "9"},
    {BAN("2", "'*'", "NULL", "false"), "9"},
    {BAN("0", "lower(username)", "now() - interval '1 s'", "false"), "9"},
    {BAN("0", "lower(username)", "now() + interval '1 h'", "false"), ""},
    {BAN("0", "lower(username)", "NULL", "true"), "9"},
    {REMEMBERED("1", "NULL", BANS_VERSION), ""},
    {REMEMBERED("1", "NULL", "'other'"), "9"},
    {REMEMBERED("1", "now() - interval '1 s'", BANS_VERSION), "9"},
    {REMEMBERED("1", "now() + interval '1 h'", BANS_VERSION), ""},
    {BAN("0", "lower(username)", "NULL", "false") REMEMBERED("NULL", "NULL", BANS_VERSION), "9"},
    {BAN("0", "lower(username)", "NULL", "false") REMEMBERED("NULL", "NULL", "'other'"), ""},
    {"DELETE FROM misago_cache_cacheversion;" REMEMBERED("1", "NULL", "'x'"), "9"},
    /* categories: the kitchen, small hours, of the crew, below one not read, below one not seen */
    {THREAD_IN("12"), "9"},
    {THREAD_IN("6"), ""},
    {THREAD_IN("13"), ""},
    {THREAD_IN("15"), ""},
    {THREAD_IN("18"), ""},
    {THREAD_IN("19"), ""},
    {THREAD_IN("2"), ""},
    /* own threads only */
    {THREAD_IN("10"), ""},
    {THREAD_IN("10") "UPDATE misago_threads_thread SET starter_id = 9 WHERE id = 3", "9"},
    /* private threads */
    {THREAD_IN("1"), ""},
    {NULL, NULL},
};

#define OTHER_039(poster, unapproved, hidden, event, at)                                           \
    "INSERT INTO misago_threads_post SELECT 9000, 'x', 'x', '" at "', '2024-01-02', false, false," \
    " " unapproved ", " hidden ", " event ", NULL, 4, " poster ", 3;"
#define ROLE(id) "INSERT INTO misago_users_user_roles VALUES (9001, 9, " id ");"
#define MEMBER_039 "INSERT INTO misago_threads_threadparticipant VALUES (9000, 3, 9, false);"
#define AFTER "2024-01-01 12:00"
#define BEFORE "2023-12-31 12:00"

static const struct rule rules_of_039[] = {
    {"UPDATE misago_threads_post SET is_hidden = true WHERE id = 9001", "9"},
    {"UPDATE misago_threads_post SET is_event = true WHERE id = 9001", "9"},
    {"UPDATE misago_threads_post SET is_event = true, is_hidden = true WHERE id = 9001", ""},
    {"UPDATE misago_threads_post SET is_event = true, is_unapproved = true WHERE id = 9001", "9"},
    {"DELETE FROM misago_users_user_roles WHERE user_id = 9", ""},
    /* another post to read */
    {OTHER_039("7", "false", "false", "false", AFTER), ""},
    {OTHER_039("7", "false", "false", "false", BEFORE), "9"},
    {OTHER_039("NULL", "false", "false", "false", AFTER), ""},
    {OTHER_039("9", "false", "false", "false", AFTER), "9"},
    {OTHER_039("7", "true", "false", "false", AFTER), "9"},
    {OTHER_039("7", "false", "true", "false", AFTER), ""},
    {OTHER_039("7", "false", "true", "true", AFTER), "9"},
    {OTHER_039("7", "false", "false", "true", AFTER), ""},
    {OTHER_039("7", "false", "false", "false",
               AFTER) "UPDATE misago_threads_post SET id = 9002 WHERE id = 9000;",
     "9"},
    /* roles: of keepers of the workshop, 5, night owls, 6, tidiers, 7, the crew, 3 by its rank */
    {THREAD_IN("6") ROLE("6"), "9"},
    {THREAD_IN("19") ROLE("6"), "9"},
    {THREAD_IN("17"), ""},
    {THREAD_IN("17") ROLE("5"), "9"},
    {THREAD_IN("13") ROLE("7"), ""},
    {THREAD_IN("13") "UPDATE misago_users_user SET rank_id = 1 WHERE id = 9", "9"},
    {THREAD_IN("18") "UPDATE misago_users_user SET rank_id = 1 WHERE id = 9", ""},
    {THREAD_IN("12") ROLE("7") "UPDATE misago_threads_thread SET is_hidden = true WHERE id = 3",
     "9"},
    {THREAD_IN("12") ROLE("7") "UPDATE misago_threads_thread SET is_unapproved = true WHERE id = 3",
     ""},
    {THREAD_IN("9") ROLE("5") "UPDATE misago_threads_thread SET is_unapproved = true WHERE id = 3",
     "9"},
    {THREAD_IN("9") ROLE("5") "UPDATE misago_threads_post SET is_unapproved = true WHERE id = 9001",
     "9"},
    {THREAD_IN("9") ROLE("5") OTHER_039("7", "true", "false", "false", AFTER), ""},
    {THREAD_IN("12") ROLE(
         "7") "UPDATE misago_threads_post SET is_event = true, is_hidden = true WHERE id = 9001",
     "9"},
    {THREAD_IN("12") ROLE("7") OTHER_039("7", "false", "true", "true", AFTER), ""},
    {THREAD_IN("10") ROLE("5"), ""},
    /* private threads */
    {THREAD_IN("1") MEMBER_039, ""},
    {THREAD_IN("1") ROLE("4"), ""},
    {THREAD_IN("1") MEMBER_039 ROLE("4"), "9"},
    {THREAD_IN("1") MEMBER_039 ROLE("5"), ""},
    {THREAD_IN("1") MEMBER_039 ROLE("4") OTHER_039("7", "true", "true", "false", AFTER), ""},
    {THREAD_IN("1")
         ROLE("3") "UPDATE misago_threads_thread SET has_reported_posts = false WHERE id = 3",
     ""},
    {THREAD_IN("1")
         ROLE("3") "UPDATE misago_threads_thread SET has_reported_posts = true WHERE id = 3",
     "9"},
    {THREAD_IN("1")
         ROLE("4") "UPDATE misago_threads_thread SET has_reported_posts = true WHERE id = 3",
     ""},
    /* watched twice */
    {"INSERT INTO misago_notifications_watchedthread (send_emails, secret, created_at, read_at,"
     " category_id, thread_id, user_id) VALUES (true, 'y', '2024-01-01', '2024-01-01', 4, 3, 9)",
     "9 mail"},
    {OTHER_039("7", "false", "false", "false",
               BEFORE) "INSERT INTO misago_notifications_watchedthread (send_emails, secret, "
                       "created_at, read_at,"
                       " category_id, thread_id, user_id) VALUES (true, 'y', '2024-01-01', "
                       "'2023-06-01', 4, 3, 9)",
     "9 mail"},
    {NULL, NULL},
};

#define OTHER_040(poster, unapproved, hidden, at)                                                  \
    "INSERT INTO misago_threads_post (id, poster_name, original, posted_at, updated_at,"           \
    " has_reports, has_open_reports, is_unapproved, is_hidden, category_id, poster_id, thread_id)" \
    " VALUES (9000, 'x', 'x', '" at "', '2024-01-02', false, false, " unapproved ", " hidden       \
    ", 4, " poster ", 3);"
#define GROUPS(list) "UPDATE misago_users_user SET groups_ids = '" list "' WHERE id = 9;"
#define MODERATES(is_global, categories)                                                           \
    "INSERT INTO misago_permissions_moderator (is_global, categories, private_threads, user_id)"   \
    " VALUES (" is_global ", '" categories "', false, 9);"
#define MEMBER_040                                                                                 \
    "INSERT INTO misago_privatethreads_privatethreadmember (id, thread_id, user_id, is_owner,"     \
    " created_at) VALUES (9000, 3, 9, false, now());"

static const struct rule rules_of_040[] = {
    {"UPDATE misago_threads_post SET is_hidden = true WHERE id = 9001", ""},
    {GROUPS("{}"), ""},
    {GROUPS("{33,13}"), ""},
    /* another post to read */
    {OTHER_040("7", "false", "false", AFTER), ""},
    {OTHER_040("7", "false", "false", BEFORE), "9"},
    {OTHER_040("NULL", "false", "false", AFTER), ""},
    {OTHER_040("9", "false", "false", AFTER), "9"},
    {OTHER_040("7", "true", "false", AFTER), "9"},
    {OTHER_040("7", "false", "true", AFTER), ""},
    {OTHER_040("7", "true", "false", AFTER) MODERATES("false", "{3,4}"), ""},
    /* groups */
    {THREAD_IN("6") GROUPS("{5}"), ""},
    {THREAD_IN("6") GROUPS("{3,5}"), "9"},
    {THREAD_IN("12") GROUPS("{8}"), ""},
    {THREAD_IN("17"), "9"},
    {"UPDATE misago_categories_category SET delay_browse_check = false WHERE id = 15;" THREAD_IN(
         "17"),
     ""},
    {"DELETE FROM misago_permissions_categorygrouppermission WHERE category_id = 15 AND"
     " permission = 'see' AND group_id = 3;" THREAD_IN("17"),
     ""},
    {THREAD_IN("19") GROUPS("{3,5}") "UPDATE misago_threads_thread SET starter_id = 9 WHERE id = 3",
     "9"},
    {THREAD_IN("19") GROUPS("{3,5}"), ""},
    {THREAD_IN("18") GROUPS("{2}"), ""},
    {THREAD_IN("18") GROUPS("{1}"), "9"},
    /* own threads only, but for what is pinned */
    {THREAD_IN("10") "UPDATE misago_threads_thread SET pinned = 1 WHERE id = 3", "9"},
    {THREAD_IN("10") MODERATES("false", "{10}"), "9"},
    {THREAD_IN("10") GROUPS("{3,7}"), "9"},
    {THREAD_IN("10") GROUPS("{3,9}"), "9"},
    {THREAD_IN("10") MODERATES("false", "{1,4,100}"), ""},
    /* moderators */
    {MODERATES("false", "{4}") "UPDATE misago_threads_post SET is_hidden = true WHERE id = 9001",
     "9"},
    {MODERATES("true", "{}") "UPDATE misago_threads_post SET is_unapproved = true WHERE id = 9001",
     "9"},
    {MODERATES("true", "{}") "UPDATE misago_threads_thread SET is_hidden = true WHERE id = 3", "9"},
    {MODERATES("true", "{}") THREAD_IN("13"), ""},
    {MODERATES("false", "{13}") THREAD_IN("13"), ""},
    {MODERATES("false", "{5}") "UPDATE misago_threads_thread SET is_unapproved = true WHERE id = 3",
     ""},
    /* private threads */
    {THREAD_IN("1") MEMBER_040, "9"},
    {THREAD_IN("1") MEMBER_040 GROUPS("{3,6}"), ""},
    {THREAD_IN("1") MEMBER_040 GROUPS("{5}"), ""},
    {THREAD_IN("1") MODERATES("true", "{}"), ""},
    {THREAD_IN("1") MEMBER_040
     "UPDATE misago_threads_post SET is_hidden = true, is_unapproved = true"
     " WHERE id = 9001",
     "9"},
    {THREAD_IN("1") MEMBER_040 OTHER_040("7", "true", "true", AFTER), ""},
    {NULL, NULL},
};

static void check(PGconn *conn, const struct rule *rules)
{
    for (; rules->change; rules++) {
        struct judge *j;
        const struct told *told;
        size_t count;
        const char *said = "";

        session_do(conn, "BEGIN");
        session_do(conn, "%s", rules->change);
        j = judge_open(conn);
        session_do(conn, "ROLLBACK");
        told = judge_post(j, 9001, &count);
        if (count == 1 && told[0].user_id == 9) {
            said = told[0].send_emails ? "9 mail" : "9";
        }
        cr_assert_str_eq(said, rules->told, "\"%s\" are told, not \"%s\", after: %s", said,
                         rules->told, rules->change);
        cr_assert_leq(count, 1);
        judge_post(j, 9999, &count);
        cr_assert_eq(count, 0);
        judge_close(j);
    }
}

static void check_version(const char *version, const char *scene, const struct rule *rules)
{
    struct postgres *pg = postgres_start(false);

    fixture_load(pg,
                 &(struct fixture){.version = version, .threads = 20, .posts = 100, .users = 10});
    PGconn *conn = session_open(pg);
    /* what refers to what is gone may stay */
    session_do(conn, "SET session_replication_role = replica");
    session_do(conn, "%s", scene_both);
    session_do(conn, "%s", scene);
    check(conn, rules_of_both);
    check(conn, rules);
    PQfinish(conn);
    postgres_stop(pg);
}

Test(judge, follows_each_rule_of_0_39)
{
    check_version("0.39", scene_039, rules_of_039);
}

Test(judge, follows_each_rule_of_0_40)
{
    check_version("0.40", scene_040, rules_of_040);
}
