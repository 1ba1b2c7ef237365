/* SPDX-License-Identifier: MIT */
/* What the roles of contrib/postgres may not do, and that jobctl init as jobq_admin gives the
 * worker all it needs. That modules may do what they need is shown by the tests that run as them.
 */
#include <criterion/criterion.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/fixture.h"
#include "tests/support/support.h"

static struct postgres *server;

static void start(void)
{
    server = postgres_start(false);
    fixture_stay_public(server);
}

static void stop(void)
{
    postgres_stop(server);
}

TestSuite(rights, .init = start, .fini = stop);

static void load_forum(const char *version)
{
    static const char *const versioned[] = {"recount", "notify", "mail"};

    fixture_load(server,
                 &(struct fixture){.version = version, .threads = 20, .posts = 60, .users = 15});
    /* What the fixture has no use for. */
    pg_do(server, "ALTER TABLE misago_users_user ADD COLUMN IF NOT EXISTS password text,"
                  " ADD COLUMN IF NOT EXISTS email_hash text;"
                  " ALTER TABLE misago_threads_post ADD COLUMN IF NOT EXISTS original text,"
                  " ADD COLUMN IF NOT EXISTS parsed text;"
                  " ALTER TABLE misago_users_ban ADD COLUMN IF NOT EXISTS user_message text");
    pg_load(server, source_path("contrib/postgres/roles.sql"));
    for (size_t i = 0; i < 3; i++)
        pg_load(server,
                source_path(fmt("contrib/postgres/grants/%s-%s.sql", versioned[i], version)));
    pg_load(server, source_path("contrib/postgres/grants/avatar.sql"));
}

static PGconn *login(const char *role)
{
    PGconn *conn = PQconnectdb(fmt("%s user=%s", server->conninfo, role));
    cr_assert_eq(PQstatus(conn), CONNECTION_OK, "%s", PQerrorMessage(conn));
    return conn;
}

/* Every statement fails for want of a right, and for no other reason. */
static void must_refuse(PGconn *conn, const char *const *statements)
{
    for (; *statements != NULL; statements++) {
        PGresult *r = PQexec(conn, *statements);
        const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
        cr_assert(state != NULL && strcmp(state, "42501") == 0, "%s may %s (%s)", PQuser(conn),
                  *statements, PQresultErrorMessage(r));
        PQclear(r);
    }
}

static void must_allow(PGconn *conn, const char *statement)
{
    PGresult *r = PQexec(conn, statement);
    cr_assert(PQresultStatus(r) == PGRES_TUPLES_OK || PQresultStatus(r) == PGRES_COMMAND_OK,
              "%s: %s", statement, PQresultErrorMessage(r));
    PQclear(r);
}

static const char *const of_no_worker[] = {
    "SELECT password FROM misago_users_user",
    "SELECT * FROM misago_users_user",
    "SELECT u FROM misago_users_user u",
    "SELECT email_hash FROM misago_users_user",
    "UPDATE misago_users_user SET password = 'x'",
    "UPDATE misago_users_user SET email = 'x'",
    "UPDATE misago_users_user SET username = 'x'",
    "INSERT INTO misago_users_user (id) VALUES (1)",
    "DELETE FROM misago_users_user",
    "TRUNCATE misago_users_user",
    "DROP TABLE misago_users_user",
    "ALTER TABLE misago_users_user ADD x int",
    "SELECT original FROM misago_threads_post",
    "SELECT parsed FROM misago_threads_post",
    "UPDATE misago_threads_post SET parsed = 'x'",
    "DELETE FROM misago_threads_post",
    "DELETE FROM misago_threads_thread",
    "UPDATE misago_threads_thread SET title = 'x'",
    "DELETE FROM misago_categories_category",
    "SELECT user_message FROM misago_users_ban",
    "UPDATE misago_conf_setting SET dry_value = 'x'",
    "CREATE TABLE public.mine (x int)",
    "CREATE TABLE jobq.mine (x int)",
    "DROP SCHEMA jobq CASCADE",
    "CREATE SCHEMA mine",
    "CREATE ROLE mine",
    "SET ROLE jobq",
    "SET ROLE jobq_admin",
    "COPY misago_users_user TO PROGRAM 'cat'",
    "SELECT pg_read_file('postgresql.conf')",
    "ALTER SYSTEM SET fsync = off",
    NULL,
};

Test(rights, a_worker_may_touch_nothing_else_of_a_forum_0_39)
{
    load_forum("0.39");
    PGconn *conn = login("jobq_worker");
    must_refuse(conn, of_no_worker);
    must_allow(conn, "SELECT id, username FROM misago_users_user");
    PQfinish(conn);
}

Test(rights, a_worker_may_touch_nothing_else_of_a_forum_0_40)
{
    load_forum("0.40");
    PGconn *conn = login("jobq_worker");
    must_refuse(conn, of_no_worker);
    must_allow(conn, "SELECT id, username FROM misago_users_user");
    PQfinish(conn);
}

Test(rights, a_module_that_is_not_run_gives_no_rights)
{
    load_forum("0.40");
    pg_do(server, "REVOKE jobq_mail, jobq_notify, jobq_avatar FROM jobq_worker");
    PGconn *conn = login("jobq_worker");
    must_refuse(conn, (const char *const[]){"SELECT email FROM misago_users_user",
                                            "SELECT avatar_tmp FROM misago_users_user",
                                            "SELECT secret FROM misago_notifications_watchedthread",
                                            "SELECT dry_value FROM misago_conf_setting",
                                            "SELECT image FROM misago_users_avatar",
                                            "UPDATE misago_users_user SET unread_notifications = 1",
                                            NULL});
    PQfinish(conn);
}

Test(rights, running_the_files_again_changes_nothing)
{
    static const char all[] =
        "SELECT md5(string_agg(x, ',' ORDER BY x)) FROM (SELECT attrelid::regclass || attname ||"
        " attacl::text FROM pg_attribute WHERE attacl IS NOT NULL UNION ALL SELECT oid::regclass ||"
        " relacl::text FROM pg_class WHERE relacl IS NOT NULL) y(x)";
    load_forum("0.40");
    char *before = pg_str(server, all);
    pg_load(server, source_path("contrib/postgres/roles.sql"));
    pg_load(server, source_path("contrib/postgres/grants/notify-0.40.sql"));
    pg_load(server, source_path("contrib/postgres/grants/avatar.sql"));
    char *after = pg_str(server, all);
    cr_assert_str_eq(before, after);
    free(before);
    free(after);
}

static void jobctl(const char *role, const char *command, int expected)
{
    const char *const argv[] = {bin_path("jobctl"),
                                command,
                                "--postgres",
                                fmt("%s user=%s", server->conninfo, role),
                                "--redis",
                                "unix:///nowhere",
                                NULL};
    char *out = NULL;
    int status = run_command(&out, NULL, argv);
    cr_assert_eq(status, expected, "jobctl %s as %s: %d\n%s", command, role, status, out);
    free(out);
}

Test(rights, init_by_jobq_admin_is_all_that_a_worker_needs)
{
    pg_load(server, source_path("contrib/postgres/roles.sql"));
    jobctl("jobq_worker", "init", 77);
    jobctl("jobq_admin", "init", 0);
    jobctl("jobq_admin", "init", 0);
    PGconn *conn = login("jobq_worker");
    must_allow(conn, "INSERT INTO jobq.done (id) VALUES (gen_random_uuid())");
    must_allow(conn, "UPDATE jobq.done SET children = NULL");
    must_allow(conn, "DELETE FROM jobq.done");
    must_allow(conn, "INSERT INTO jobq.mail_sent (message_id) VALUES ('x')");
    must_allow(conn, "DELETE FROM jobq.mail_sent");
    must_refuse(conn, (const char *const[]){"TRUNCATE jobq.done", "DROP TABLE jobq.done",
                                            "ALTER TABLE jobq.done ADD x int", NULL});
    PQfinish(conn);
}

Test(rights, an_admin_of_jobq_may_not_look_into_the_forum)
{
    load_forum("0.40");
    PGconn *conn = login("jobq_admin");
    must_refuse(conn,
                (const char *const[]){"SELECT id FROM misago_users_user", "CREATE SCHEMA mine",
                                      "CREATE ROLE mine", "DROP TABLE misago_users_user", NULL});
    PQfinish(conn);
}
