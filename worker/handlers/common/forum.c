/* SPDX-License-Identifier: MIT */
/* forum: see forum.h. */
#include "worker/handlers/common/forum.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <string.h>

#include "worker/handlers/common/text.h"

/* Tables and columns that both versions have under the same name. */
#define COMMON_COLUMNS                                                                             \
    "misago_threads_thread.replies,misago_threads_thread.has_events,"                              \
    "misago_threads_thread.has_poll,misago_threads_thread.has_reported_posts,"                     \
    "misago_threads_thread.has_open_reports,misago_threads_thread.has_unapproved_posts,"           \
    "misago_threads_thread.has_hidden_posts,misago_threads_thread.is_hidden,"                      \
    "misago_threads_thread.is_unapproved,misago_threads_thread.category_id,"                       \
    "misago_threads_thread.first_post_id,misago_threads_thread.last_post_id,"                      \
    "misago_threads_thread.starter_id,misago_threads_thread.starter_name,"                         \
    "misago_threads_thread.starter_slug,misago_threads_thread.last_poster_id,"                     \
    "misago_threads_thread.last_poster_name,misago_threads_thread.last_poster_slug,"               \
    "misago_threads_thread.title,misago_threads_thread.slug,"                                      \
    "misago_threads_post.thread_id,misago_threads_post.category_id,"                               \
    "misago_threads_post.poster_id,misago_threads_post.poster_name,"                               \
    "misago_threads_post.is_unapproved,misago_threads_post.is_hidden,"                             \
    "misago_categories_category.special_role,misago_categories_category.tree_id,"                  \
    "misago_categories_category.lft,misago_categories_category.rght,"                              \
    "misago_categories_category.threads,misago_categories_category.posts,"                         \
    "misago_categories_category.last_thread_id,misago_categories_category.last_thread_title,"      \
    "misago_categories_category.last_thread_slug,misago_categories_category.last_poster_id,"       \
    "misago_categories_category.last_poster_name,misago_categories_category.last_poster_slug,"     \
    "misago_users_user.username,misago_users_user.slug,misago_users_user.threads,"                 \
    "misago_users_user.posts,misago_users_user.followers,misago_users_user.following,"             \
    "misago_users_user_follows.from_user_id,misago_users_user_follows.to_user_id"

static const char columns_039[] =
    "{" COMMON_COLUMNS ","
    "misago_threads_thread.started_on,misago_threads_thread.last_post_on,"
    "misago_threads_thread.last_post_is_event,"
    "misago_threads_post.posted_on,misago_threads_post.is_event,"
    "misago_threads_post.has_reports,misago_threads_post.has_open_reports,"
    "misago_categories_category.last_post_on,"
    "misago_threads_poll.thread_id}";

static const char columns_040[] =
    "{" COMMON_COLUMNS ","
    "misago_threads_thread.started_at,misago_threads_thread.last_posted_at,"
    "misago_threads_thread.solution_id,misago_threads_thread.solution_posted_at,"
    "misago_threads_thread.solution_by_id,misago_threads_thread.solution_by_name,"
    "misago_threads_thread.solution_by_slug,misago_threads_thread.solution_selected_at,"
    "misago_threads_thread.solution_selected_by_id,misago_threads_thread.solution_selected_by_name,"
    "misago_threads_thread.solution_selected_by_slug,misago_threads_thread.solution_is_locked,"
    "misago_threads_thread.solution_locked_at,misago_threads_thread.solution_locked_by_id,"
    "misago_threads_thread.solution_locked_by_name,misago_threads_thread.solution_locked_by_slug,"
    "misago_threads_post.posted_at,"
    "misago_categories_category.last_posted_at,misago_categories_category.unapproved_threads,"
    "misago_categories_category.unapproved_posts,"
    "misago_threadevents_threadevent.thread_id,misago_polls_poll.thread_id}";

/* One row: is the table there, which of the two marks it has, and the search path for the text.
 */
static const char marks_sql[] =
    "SELECT to_regclass('misago_threads_thread') IS NOT NULL,"
    " EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('misago_threads_thread')"
    "         AND attname = 'last_post_on' AND NOT attisdropped),"
    " EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('misago_threads_thread')"
    "         AND attname = 'last_posted_at' AND NOT attisdropped),"
    " current_database(), current_setting('search_path')";

static const char missing_sql[] =
    "SELECT c.name FROM unnest($1::text[]) WITH ORDINALITY c(name, nr)"
    " WHERE NOT EXISTS (SELECT FROM pg_attribute a"
    "   WHERE a.attrelid = to_regclass(split_part(c.name, '.', 1))"
    "   AND a.attname = split_part(c.name, '.', 2) AND a.attnum > 0 AND NOT a.attisdropped)"
    " ORDER BY c.nr LIMIT 1";

static bool is_true(const PGresult *r, int column)
{
    return strcmp(PQgetvalue(r, 0, column), "t") == 0;
}

/* The version the marks speak for; FORUM_UNKNOWN with its text when they speak for none. */
static enum forum_version read_marks(const PGresult *r, char *text, size_t text_size)
{
    bool has_table = is_true(r, 0);
    bool has_039 = is_true(r, 1);
    bool has_040 = is_true(r, 2);

    if (has_039 != has_040) {
        return has_039 ? FORUM_039 : FORUM_040;
    }
    if (!has_table) {
        text_format(text, text_size,
                    "no table misago_threads_thread in database %s (search_path %s): "
                    "not the forum's database",
                    PQgetvalue(r, 0, 3), PQgetvalue(r, 0, 4));
    } else {
        text_format(text, text_size,
                    "unknown forum schema in database %s: misago_threads_thread has %s of "
                    "last_post_on (0.39) and last_posted_at (0.40)",
                    PQgetvalue(r, 0, 3), has_039 ? "both" : "none");
    }
    return FORUM_UNKNOWN;
}

int forum_require(PGconn *conn, enum forum_version version, const char *columns, char *text,
                  size_t text_size, struct pg_failure *why)
{
    const char *params[1] = {columns};
    PGresult *r = pg_query(conn, missing_sql, 1, params, why);
    int missing;

    if (!r) {
        return -1;
    }
    missing = PQntuples(r);
    if (missing > 0) {
        text_format(text, text_size, "unknown forum schema: it looks like %s, but %s is missing",
                    version == FORUM_039 ? "0.39" : "0.40", PQgetvalue(r, 0, 0));
    }
    PQclear(r);
    return missing;
}

int forum_probe(PGconn *conn, enum forum_version *out, char *text, size_t text_size,
                struct pg_failure *why)
{
    enum forum_version version;
    int missing;
    PGresult *r = pg_query(conn, marks_sql, 0, NULL, why);

    if (!r) {
        return -1;
    }
    version = read_marks(r, text, text_size);
    PQclear(r);
    if (version != FORUM_UNKNOWN) {
        missing = forum_require(conn, version, version == FORUM_039 ? columns_039 : columns_040,
                                text, text_size, why);
        if (missing < 0) {
            return -1;
        }
        if (missing > 0) {
            version = FORUM_UNKNOWN;
        }
    }
    *out = version;
    return 0;
}
