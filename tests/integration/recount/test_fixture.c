/* SPDX-License-Identifier: MIT */
/* The fixture itself: what it holds, that it is the same each time, and that its judge sees every
 * kind of fault. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <criterion/criterion.h>

#include "tests/integration/recount/forum.h"

struct field {
    const char *column;
    const char *reported; /* its name in verify.sql's lines; NULL: the same */
};

static const struct field threads_of_both[] = {
    { "replies", NULL },          { "has_events", NULL },
    { "has_poll", NULL },         { "has_reported_posts", NULL },
    { "has_open_reports", NULL }, { "has_unapproved_posts", NULL },
    { "has_hidden_posts", NULL }, { "starter_id", NULL },
    { "starter_name", NULL },     { "starter_slug", NULL },
    { "last_poster_id", NULL },   { "last_poster_name", NULL },
    { "last_poster_slug", NULL }, { "first_post_id", NULL },
    { "last_post_id", NULL },     { NULL, NULL },
};
static const struct field threads_of_039[] = {
    { "started_on", "started_at" }, { "last_post_on", "last_posted_at" },
    { "last_post_is_event", NULL }, { "is_hidden", NULL },
    { "is_unapproved", NULL },      { NULL, NULL },
};
static const struct field threads_of_040[] = {
    { "started_at", NULL },
    { "last_posted_at", NULL },
    { "solution_by_id", NULL },
    { "solution_by_name", NULL },
    { "solution_by_slug", NULL },
    { "solution_posted_at", NULL },
    { "solution_selected_at", NULL },
    { "solution_selected_by_id", NULL },
    { "solution_selected_by_name", NULL },
    { "solution_selected_by_slug", NULL },
    { "solution_is_locked", NULL },
    { "solution_locked_at", NULL },
    { "solution_locked_by_id", NULL },
    { "solution_locked_by_name", NULL },
    { "solution_locked_by_slug", NULL },
    { NULL, NULL },
};
static const struct field categories_of_both[] = {
    { "threads", NULL },
    { "posts", NULL },
    { "last_thread_id", NULL },
    { "last_thread_title", NULL },
    { "last_thread_slug", NULL },
    { "last_poster_id", NULL },
    { "last_poster_name", NULL },
    { "last_poster_slug", NULL },
    { NULL, NULL },
};
static const struct field categories_of_039[] = { { "last_post_on", "last_posted_at" },
                                                  { NULL, NULL } };
static const struct field categories_of_040[] = {
    { "last_posted_at", NULL },
    { "unapproved_threads", NULL },
    { "unapproved_posts", NULL },
    { NULL, NULL },
};
static const struct field users_of_both[] = {
    { "threads", NULL },   { "posts", NULL }, { "followers", NULL },
    { "following", NULL }, { NULL, NULL },
};

/* Gives one column of one row a value it cannot rightly have. */
static void spoil(struct forum *f, const char *table, const char *column, long long id)
{
    pg_do(f->pg,
          "DO $$ DECLARE c record; BEGIN"
          " SELECT column_name AS name, data_type AS type INTO STRICT c FROM "
          "information_schema.columns"
          "  WHERE table_schema = 'public' AND table_name = '%s' AND column_name = '%s';"
          " EXECUTE format('UPDATE %s SET %%I = %%s WHERE id = %lld', c.name, CASE"
          "  WHEN c.type = 'boolean' THEN format('NOT %%I', c.name)"
          "  WHEN c.type LIKE 'character%%' THEN format('coalesce(%%I, '''') || ''~''', c.name)"
          "  WHEN c.type LIKE 'timestamp%%' THEN format('coalesce(%%I, now()) + interval ''1 s''', "
          "c.name)"
          "  WHEN c.name LIKE '%%\\_id' THEN format('CASE WHEN %%I IS NULL THEN 1 END', c.name)"
          "  ELSE format('%%I + 1', c.name) END);"
          "END $$",
          table, column, table, id);
}

/* Spoils one column each of rows id, id + 1, …; all are reported under what, and no other row. */
static void must_see(struct forum *f, const char *table, const char *what, long long id,
                     const struct field *const *lists)
{
    char *faults;
    size_t spoilt = 0;
    size_t lines = 0;

    for (; *lists; lists++) {
        for (const struct field *field = *lists; field->column; field++) {
            spoil(f, table, field->column, id + (long long)spoilt++);
        }
    }
    faults = forum_faults(f);
    for (char *at = faults; *at; at = strchr(at, '\n') + 1) {
        lines += strncmp(at, what, strlen(what)) == 0;
    }
    cr_assert_eq(lines, spoilt, "%zu spoilt, but reported:\n%.2000s", spoilt, faults);
    free(faults);
}

static void must_see_field(struct forum *f, const char *what, long long id,
                           const struct field *field)
{
    char *faults = forum_faults(f);
    const char *line =
        fmt("%s|%lld|%s|", what, id, field->reported ? field->reported : field->column);

    cr_assert_not_null(strstr(faults, line), "%s is not in:\n%.2000s", line, faults);
    free(faults);
}

static void judge(const char *version, const struct field *of_threads,
                  const struct field *of_categories)
{
    struct forum *f = forum_start(version);
    const struct field *const threads[] = { threads_of_both, of_threads, NULL };
    const struct field *const categories[] = { categories_of_both, of_categories, NULL };
    const struct field *const users[] = { users_of_both, NULL };

    /* users and categories first: what threads say counts for both */
    must_see(f, "misago_users_user", "user|", 30, users);
    must_see_field(f, "user", 31, &users_of_both[1]);
    must_see(f, "misago_categories_category", "category|", 3, categories);
    must_see_field(f, "category", 3 + 8, &of_categories[0]);
    if (f->is_040) { /* solution columns are wrong only where there is no solution */
        pg_do(f->pg,
              "UPDATE misago_threads_thread SET solution_id = NULL, solution_posted_at = NULL,"
              " solution_by_id = NULL, solution_by_name = NULL, solution_by_slug = NULL,"
              " solution_selected_at = NULL, solution_selected_by_id = NULL,"
              " solution_selected_by_name = NULL, solution_selected_by_slug = NULL");
    }
    must_see(f, "misago_threads_thread", "thread|", 200, threads);
    must_see_field(f, "thread", 200 + 15, &of_threads[0]);
    forum_stop(f);
}

Test(fixture, its_judge_sees_every_fault_of_0_39)
{
    judge(V039, threads_of_039, categories_of_039);
}

Test(fixture, its_judge_sees_every_fault_of_0_40)
{
    judge(V040, threads_of_040, categories_of_040);
}

static char *contents(struct forum *f)
{
    char *tables = pg_str(
        f->pg,
        "SELECT string_agg(format('SELECT %%L || t::text AS r FROM %%I t', relname, relname),"
        " ' UNION ALL ' ORDER BY relname) FROM pg_class WHERE relkind = 'r'"
        " AND relnamespace = 'public'::regnamespace");
    char *hash = pg_str(
        f->pg, "SELECT md5(string_agg(r, ',' ORDER BY r COLLATE \"C\")) FROM (%s) x", tables);

    free(tables);
    return hash;
}

Test(fixture, is_the_same_each_time)
{
    struct forum *a = forum_start(V039);
    struct forum *b = forum_start(V039);
    char *hash_a = contents(a);
    char *hash_b = contents(b);

    cr_assert_str_eq(hash_a, hash_b);
    /* known on one machine, true on all */
    cr_assert_eq(pg_int(a->pg, "SELECT sum(id::bigint * replies) FROM misago_threads_thread"),
                 727642);
    free(hash_a);
    free(hash_b);
    forum_stop(a);
    forum_stop(b);
}

/* Tables with conditions: of each there is some row. */
static const char *const kinds[] = {
    "misago_threads_thread WHERE is_hidden AND NOT is_unapproved",
    "misago_threads_thread WHERE is_unapproved",
    "misago_threads_thread WHERE replies = 0",
    "misago_threads_thread WHERE replies > 50",
    "misago_threads_thread WHERE has_poll",
    "misago_threads_thread WHERE has_events AND last_post_is_event",
    "misago_threads_thread WHERE has_reported_posts AND NOT has_open_reports",
    "misago_threads_thread WHERE has_open_reports",
    "misago_threads_thread WHERE weight > 0",
    "misago_threads_thread WHERE starter_id IS NULL",
    "misago_threads_thread WHERE starter_id IS NULL AND octet_length(starter_name) > "
    "length(starter_name)",
    "misago_threads_thread WHERE category_id = 1",
    "misago_threads_threadparticipant WHERE NOT is_owner",
    "misago_threads_post WHERE is_hidden AND NOT is_event",
    "misago_threads_post WHERE is_unapproved",
    "misago_threads_post WHERE is_event",
    "misago_threads_post WHERE poster_id IS NULL",
    "misago_users_user WHERE posts = 0",
    "misago_users_user WHERE followers > 0 AND following > 0",
    "misago_categories_category WHERE threads = 0 AND special_role IS NULL",
    "misago_categories_category WHERE level = 2",
    "misago_categories_rolecategoryacl WHERE category_id = 10 AND category_role_id = 4",
    "misago_users_user WHERE NOT is_active",
    "misago_users_user WHERE rank_id IS NULL",
    "misago_users_user WHERE unread_notifications > 0",
    "misago_users_user u WHERE NOT EXISTS (SELECT FROM misago_users_user_roles r "
    "WHERE r.user_id = u.id AND r.role_id = 1)",
    "misago_notifications_watchedthread WHERE send_emails",
    "misago_notifications_watchedthread WHERE NOT send_emails",
    "misago_notifications_watchedthread w WHERE EXISTS (SELECT FROM "
    "misago_notifications_watchedthread o WHERE o.thread_id = w.thread_id "
    "AND o.user_id = w.user_id AND o.id <> w.id)",
    "misago_notifications_notification WHERE verb = 'REPLIED' AND NOT is_read",
    "misago_notifications_notification WHERE verb = 'INVITED' AND is_read",
    "misago_users_ban WHERE check_type = 0 AND expires_on < now()",
    "misago_users_ban WHERE check_type = 1 AND registration_only",
    "misago_users_ban WHERE banned_value LIKE '%*%' AND check_type = 1",
    "misago_users_bancache WHERE ban_id IS NULL",
    "misago_users_bancache b WHERE cache_version <> (SELECT version FROM "
    "misago_cache_cacheversion c WHERE c.cache = 'bans')",
    NULL,
};

static void must_hold_what_0_40_adds(struct forum *f)
{
    forum_load(f, "upgrade-0.40.sql");
    cr_assert_gt(pg_int(f->pg, "SELECT count(*) FROM misago_users_user"
                               " WHERE 3 = ANY (groups_ids) AND 6 = ANY (groups_ids)"),
                 0);
    cr_assert_gt(pg_int(f->pg, "SELECT count(*) FROM misago_threadevents_threadevent"), 0);
    cr_assert_gt(
        pg_int(f->pg, "SELECT count(*) FROM misago_threads_thread WHERE solution_id IS NOT NULL"),
        0);
    cr_assert_gt(
        pg_int(f->pg, "SELECT count(*) FROM misago_categories_category WHERE unapproved_posts > 0"),
        0);
}

Test(fixture, holds_all_that_a_forum_has)
{
    struct forum *f = forum_start(V039);

    for (size_t i = 0; kinds[i]; i++) {
        cr_assert_gt(pg_int(f->pg, "SELECT count(*) FROM %s", kinds[i]), 0, "%s", kinds[i]);
    }
    cr_assert_eq(pg_int(f->pg, "SELECT count(*) FROM misago_users_user u"
                               " WHERE unread_notifications <> (SELECT count(*)"
                               " FROM misago_notifications_notification n"
                               " WHERE n.user_id = u.id AND NOT n.is_read)"),
                 0);
    must_hold_what_0_40_adds(f);
    forum_stop(f);
}

static void loader_must_say(int status, const char *text, const char *const *argv)
{
    char *out = NULL;

    cr_assert_eq(run_command(&out, NULL, argv), status, "%s", out);
    cr_assert_not_null(strstr(out, text), "%s", out);
    free(out);
}

Test(fixture, its_loader_refuses_what_makes_no_sense)
{
    struct forum *f = forum_start_empty();
    char *load = strdup(source_path("contrib/forum/fixture/load.sh"));
    const char *db = f->pg->conninfo;

    loader_must_say(2, "usage: load.sh", (const char *[]){ load, NULL });
    loader_must_say(2, "unknown option --size", (const char *[]){ load, db, "--size", "3", NULL });
    loader_must_say(2, "--posts wants a value", (const char *[]){ load, db, "--posts", NULL });
    loader_must_say(2, "--posts: a whole number, not 1e3",
                    (const char *[]){ load, db, "--posts", "1e3", NULL });
    loader_must_say(2, "--posts: at least as many as threads (1000)",
                    (const char *[]){ load, db, "--posts", "999", NULL });
    loader_must_say(2, "--version: 0.39 or 0.40",
                    (const char *[]){ load, db, "--version", "0.27", NULL });
    loader_must_say(2, "--media: no directory /nowhere",
                    (const char *[]){ load, db, "--media", "/nowhere", NULL });
    loader_must_say(69, "psql: error", (const char *[]){ load, "host=/nowhere dbname=test", NULL });
    cr_assert_eq(pg_int(f->pg, "SELECT count(*) FROM pg_class WHERE relname LIKE 'misago%%'"), 0);

    pg_do(f->pg, "CREATE TABLE misago_threads_thread (id int)");
    loader_must_say(1, "there is a forum in this database already",
                    (const char *[]){ load, db, NULL });
    free(load);
    forum_stop(f);
}

/* Enough users for threads with a crowd of watchers: one post tells nearly all of them. */
Test(fixture, has_crowds_where_there_are_users_enough)
{
    struct forum *f = forum_start_empty();
    char *out = NULL;

    cr_assert_eq(
        run_command(&out, NULL,
                    (const char *[]){ source_path("contrib/forum/fixture/load.sh"), f->pg->conninfo,
                                     "--threads", "20", "--posts", "400", "--users", "2000", NULL }),
        0, "%s", out);
    free(out);
    for (int thread = 1; thread <= 2; thread++) {
        cr_assert_gt(pg_int(f->pg,
                            "SELECT count(*) FROM misago_notifications_watchedthread"
                            " WHERE thread_id = %d",
                            thread),
                     1780);
    }
    forum_stop(f);
}

/* Each of users' images is where the database has it, and is the image it says. */
static void must_have_media(struct forum *f, const char *root)
{
    long long files = pg_int(f->pg, "SELECT count(*) FROM fixture_media");

    cr_assert_gt(files, 5);
    cr_assert_eq(pg_int(f->pg, "SELECT count(*) FROM misago_users_user u WHERE avatar_tmp <> ''"
                               " AND NOT EXISTS (SELECT FROM fixture_media m"
                               " WHERE m.path = u.avatar_tmp)"),
                 0);
    for (long long i = 0; i < files; i++) {
        char *path =
            pg_str(f->pg, "SELECT path FROM fixture_media ORDER BY path LIMIT 1 OFFSET %lld", i);
        char *file = pg_str(f->pg, "SELECT file FROM fixture_media WHERE path = '%s'", path);
        char *image = strdup(source_path(fmt("contrib/forum/fixture/media/%s", file)));
        const char *const cmp[] = { "cmp", image, fmt("%s/%s", root, path), NULL };
        char *out = NULL;

        cr_assert_eq(run_command(&out, NULL, cmp), 0, "%s", out);
        free(out);
        free(image);
        free(file);
        free(path);
    }
}

Test(fixture, loads_at_its_smallest)
{
    struct forum *f = forum_start_empty();
    char *root = strdup(fmt("%s/media root", tmp_dir()));
    char *out = NULL;

    cr_assert_eq(mkdir(root, 0700), 0);
    cr_assert_eq(
        run_command(&out, NULL,
                    (const char *[]){ source_path("contrib/forum/fixture/load.sh"), f->pg->conninfo,
                                     "--threads", "20", "--posts", "20", "--users", "10", "--seed",
                                     "7", "--media", root, NULL }),
        0, "%s", out);
    cr_assert_str_empty(out);
    free(out);
    cr_assert_eq(pg_int(f->pg, "SELECT count(*) FROM misago_threads_thread WHERE replies = 0"), 20);
    forum_must_be_right(f);
    must_have_media(f, root);
    free(root);
    forum_stop(f);
}
