/* SPDX-License-Identifier: MIT */
/* sql_040: the counters of forum 0.40; see sql.h. */
#include "worker/handlers/recount/sql.h"

#include <stddef.h>

#define SLUG(name, stored_name, stored_slug)                                                       \
    RECOUNT_GUEST_SLUG(name, stored_name, stored_slug, "_.", "  ")

/*
 * The last post of a thread with less than two approved posts is its first one. Names are the
 * users' current ones; guests keep the name their post carries. A solution that is no post of the
 * thread is taken away.
 */
static const char threads[] =
    "WITH stat AS ("
    " SELECT p.thread_id, count(*) FILTER (WHERE NOT p.is_unapproved) AS approved,"
    "  min(p.id) AS first_id,"
    "  max(p.id) FILTER (WHERE NOT p.is_unapproved) AS last_id,"
    "  bool_or(p.is_unapproved) AS has_unapproved_posts,"
    "  bool_or(p.is_hidden) AS has_hidden_posts"
    " FROM misago_threads_post p WHERE p.thread_id = ANY ($1::bigint[]) GROUP BY p.thread_id"
    "), fresh AS MATERIALIZED ("
    " SELECT t.id, greatest(s.approved - 1, 0) AS replies,"
    "  EXISTS (SELECT FROM misago_threadevents_threadevent e WHERE e.thread_id = t.id)"
    "   AS has_events,"
    "  EXISTS (SELECT FROM misago_polls_poll o WHERE o.thread_id = t.id) AS has_poll,"
    "  s.has_unapproved_posts, s.has_hidden_posts,"
    "  f.id AS first_post_id, f.posted_at AS started_at,"
    "  f.poster_id AS starter_id, coalesce(fu.username, f.poster_name) AS starter_name,"
    "  CASE WHEN fu.id IS NOT NULL THEN fu.slug"
    "   ELSE " SLUG("f.poster_name", "t.starter_name", "t.starter_slug") " END AS starter_slug,"
    "  l.id AS last_post_id, l.posted_at AS last_posted_at,"
    "  l.poster_id AS last_poster_id, coalesce(lu.username, l.poster_name) AS last_poster_name,"
    "  CASE WHEN lu.id IS NOT NULL THEN lu.slug"
    "   ELSE " SLUG("l.poster_name", "t.last_poster_name", "t.last_poster_slug") " END"
    "   AS last_poster_slug,"
    "  EXISTS (SELECT FROM misago_threads_post p WHERE p.id = t.solution_id"
    "   AND p.thread_id = t.id) AS is_solved"
    " FROM stat s"
    " JOIN misago_threads_thread t ON t.id = s.thread_id"
    " JOIN misago_threads_post f ON f.id = s.first_id"
    " JOIN misago_threads_post l"
    "  ON l.id = CASE WHEN s.approved > 1 THEN s.last_id ELSE s.first_id END"
    " LEFT JOIN misago_users_user fu ON fu.id = f.poster_id"
    " LEFT JOIN misago_users_user lu ON lu.id = l.poster_id"
    " WHERE t.id = ANY ($1::bigint[])"
    "), changed AS ("
    " UPDATE misago_threads_thread t SET replies = n.replies, has_events = n.has_events,"
    "  has_poll = n.has_poll, has_reported_posts = false, has_open_reports = false,"
    "  has_unapproved_posts = n.has_unapproved_posts, has_hidden_posts = n.has_hidden_posts,"
    "  first_post_id = n.first_post_id, started_at = n.started_at,"
    "  starter_id = n.starter_id, starter_name = n.starter_name, starter_slug = n.starter_slug,"
    "  last_post_id = n.last_post_id, last_posted_at = n.last_posted_at,"
    "  last_poster_id = n.last_poster_id, last_poster_name = n.last_poster_name,"
    "  last_poster_slug = n.last_poster_slug,"
    "  solution_id = CASE WHEN n.is_solved THEN t.solution_id END,"
    "  solution_posted_at = CASE WHEN n.is_solved THEN t.solution_posted_at END,"
    "  solution_by_id = CASE WHEN n.is_solved THEN t.solution_by_id END,"
    "  solution_by_name = CASE WHEN n.is_solved THEN t.solution_by_name END,"
    "  solution_by_slug = CASE WHEN n.is_solved THEN t.solution_by_slug END,"
    "  solution_selected_at = CASE WHEN n.is_solved THEN t.solution_selected_at END,"
    "  solution_selected_by_id = CASE WHEN n.is_solved THEN t.solution_selected_by_id END,"
    "  solution_selected_by_name = CASE WHEN n.is_solved THEN t.solution_selected_by_name END,"
    "  solution_selected_by_slug = CASE WHEN n.is_solved THEN t.solution_selected_by_slug END,"
    "  solution_is_locked = n.is_solved AND t.solution_is_locked,"
    "  solution_locked_at = CASE WHEN n.is_solved THEN t.solution_locked_at END,"
    "  solution_locked_by_id = CASE WHEN n.is_solved THEN t.solution_locked_by_id END,"
    "  solution_locked_by_name = CASE WHEN n.is_solved THEN t.solution_locked_by_name END,"
    "  solution_locked_by_slug = CASE WHEN n.is_solved THEN t.solution_locked_by_slug END"
    " FROM fresh n WHERE t.id = n.id AND t.id = ANY ($1::bigint[]) AND (("
    "  t.replies, t.has_events, t.has_poll, t.has_reported_posts, t.has_open_reports,"
    "  t.has_unapproved_posts, t.has_hidden_posts, t.first_post_id, t.started_at,"
    "  t.starter_id, t.starter_name, t.starter_slug, t.last_post_id, t.last_posted_at,"
    "  t.last_poster_id, t.last_poster_name, t.last_poster_slug"
    " ) IS DISTINCT FROM ("
    "  n.replies, n.has_events, n.has_poll, false, false,"
    "  n.has_unapproved_posts, n.has_hidden_posts, n.first_post_id, n.started_at,"
    "  n.starter_id, n.starter_name, n.starter_slug, n.last_post_id, n.last_posted_at,"
    "  n.last_poster_id, n.last_poster_name, n.last_poster_slug"
    " ) OR NOT n.is_solved AND (t.solution_is_locked OR num_nonnulls("
    "  t.solution_id, t.solution_posted_at, t.solution_by_id, t.solution_by_name,"
    "  t.solution_by_slug, t.solution_selected_at, t.solution_selected_by_id,"
    "  t.solution_selected_by_name, t.solution_selected_by_slug, t.solution_locked_at,"
    "  t.solution_locked_by_id, t.solution_locked_by_name, t.solution_locked_by_slug) > 0)"
    " ) RETURNING 1"
    ") SELECT (SELECT count(*) FROM changed), count(*), min(i.id)"
    " FROM unnest($1::bigint[]) i(id)"
    " WHERE NOT EXISTS (SELECT FROM stat s WHERE s.thread_id = i.id)";

/*
 * Posts are counted one by one: a sum of replies would be wrong by one for a visible thread
 * without an approved post. Of threads with the same last post the one that is stored already
 * stays.
 */
#define FRESH_CATEGORIES                                                                           \
    "WITH own AS ("                                                                                \
    " SELECT t.category_id,"                                                                       \
    "  count(*) FILTER (WHERE NOT t.is_hidden AND NOT t.is_unapproved) AS threads,"                \
    "  count(*) FILTER (WHERE t.is_unapproved) AS unapproved_threads"                              \
    " FROM misago_threads_thread t WHERE t.category_id = ANY ($1::bigint[])"                       \
    " GROUP BY t.category_id"                                                                      \
    "), written AS ("                                                                              \
    " SELECT p.category_id,"                                                                       \
    "  count(*) FILTER (WHERE NOT p.is_unapproved AND NOT t.is_hidden AND NOT t.is_unapproved)"    \
    "   AS posts,"                                                                                 \
    "  count(*) FILTER (WHERE p.is_unapproved) AS unapproved_posts"                                \
    " FROM misago_threads_post p JOIN misago_threads_thread t ON t.id = p.thread_id"               \
    " WHERE p.category_id = ANY ($1::bigint[]) GROUP BY p.category_id"                             \
    "), last AS ("                                                                                 \
    " SELECT DISTINCT ON (t.category_id) t.category_id, t.id, t.title, t.slug,"                    \
    "  t.last_posted_at, t.last_poster_id, t.last_poster_name, t.last_poster_slug"                 \
    " FROM misago_threads_thread t JOIN misago_categories_category c ON c.id = t.category_id"      \
    " WHERE t.category_id = ANY ($1::bigint[]) AND NOT t.is_hidden AND NOT t.is_unapproved"        \
    " ORDER BY t.category_id, t.last_post_id DESC NULLS LAST,"                                     \
    "  (t.id = c.last_thread_id) IS TRUE DESC, t.id DESC"                                          \
    "), fresh AS ("                                                                                \
    " SELECT c.id, coalesce(o.threads, 0) AS threads, coalesce(w.posts, 0) AS posts,"              \
    "  coalesce(o.unapproved_threads, 0) AS unapproved_threads,"                                   \
    "  coalesce(w.unapproved_posts, 0) AS unapproved_posts,"                                       \
    "  l.id AS last_thread_id, l.title AS last_thread_title, l.slug AS last_thread_slug,"          \
    "  l.last_posted_at, l.last_poster_id, l.last_poster_name, l.last_poster_slug"                 \
    " FROM misago_categories_category c"                                                           \
    " LEFT JOIN own o ON o.category_id = c.id"                                                     \
    " LEFT JOIN written w ON w.category_id = c.id"                                                 \
    " LEFT JOIN last l ON l.category_id = c.id"                                                    \
    " WHERE c.id = ANY ($1::bigint[])"                                                             \
    ")"

#define CATEGORY_DIFFERS                                                                           \
    "(c.threads, c.posts, c.unapproved_threads, c.unapproved_posts, c.last_thread_id,"             \
    " c.last_thread_title, c.last_thread_slug, c.last_posted_at, c.last_poster_id,"                \
    " c.last_poster_name, c.last_poster_slug)"                                                     \
    " IS DISTINCT FROM"                                                                            \
    " (n.threads, n.posts, n.unapproved_threads, n.unapproved_posts, n.last_thread_id,"            \
    " n.last_thread_title, n.last_thread_slug, n.last_posted_at, n.last_poster_id,"                \
    " n.last_poster_name, n.last_poster_slug)"

static const char differing_categories[] =
    FRESH_CATEGORIES
    " SELECT c.id FROM misago_categories_category c JOIN fresh n ON n.id = c.id"
    " WHERE " CATEGORY_DIFFERS " ORDER BY c.id";

static const char categories[] =
    FRESH_CATEGORIES ", changed AS ("
    " UPDATE misago_categories_category c SET threads = n.threads, posts = n.posts,"
    "  unapproved_threads = n.unapproved_threads, unapproved_posts = n.unapproved_posts,"
    "  last_thread_id = n.last_thread_id, last_thread_title = n.last_thread_title,"
    "  last_thread_slug = n.last_thread_slug, last_posted_at = n.last_posted_at,"
    "  last_poster_id = n.last_poster_id, last_poster_name = n.last_poster_name,"
    "  last_poster_slug = n.last_poster_slug"
    " FROM fresh n WHERE c.id = n.id AND " CATEGORY_DIFFERS " RETURNING 1"
    ") SELECT count(*), 0, NULL FROM changed";

static const char users[] = RECOUNT_USERS_SQL("NOT p.is_unapproved");

const struct recount_sql recount_sql_040[RECOUNT_KINDS] = {
    [RECOUNT_THREADS] = { NULL, threads },
    [RECOUNT_CATEGORIES] = { differing_categories, categories },
    [RECOUNT_USERS] = { NULL, users },
};
