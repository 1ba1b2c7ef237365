/* SPDX-License-Identifier: MIT */
/* sql_039: the counters of forum 0.39 (and older ones with its names); see sql.h. */
#include "worker/handlers/recount/sql.h"

#include <stddef.h>

#define SLUG(name, stored_name, stored_slug)                                                       \
    RECOUNT_GUEST_SLUG(name, stored_name, stored_slug, "_", " ")

/*
 * Events are posts here. They are no replies but may be the last post. A thread is as hidden and
 * as unapproved as its first post. Names are those the posts carry; only slugs come from the
 * users.
 */
static const char threads[] =
    "WITH stat AS ("
    " SELECT p.thread_id,"
    "  count(*) FILTER (WHERE NOT p.is_event AND NOT p.is_unapproved) AS approved,"
    "  min(p.id) AS first_id,"
    "  max(p.id) FILTER (WHERE NOT p.is_unapproved) AS last_id,"
    "  bool_or(p.is_event) AS has_events,"
    "  bool_or(p.has_reports) AS has_reported_posts,"
    "  bool_or(p.has_open_reports) AS has_open_reports,"
    "  bool_or(p.is_unapproved) AS has_unapproved_posts,"
    "  bool_or(p.is_hidden) AS has_hidden_posts"
    " FROM misago_threads_post p WHERE p.thread_id = ANY ($1::bigint[]) GROUP BY p.thread_id"
    "), fresh AS MATERIALIZED ("
    " SELECT t.id, greatest(s.approved - 1, 0) AS replies,"
    "  s.has_events AND s.last_id IS NOT NULL AS has_events,"
    "  EXISTS (SELECT FROM misago_threads_poll o WHERE o.thread_id = t.id) AS has_poll,"
    "  s.has_reported_posts, s.has_reported_posts AND s.has_open_reports AS has_open_reports,"
    "  s.has_unapproved_posts, s.has_hidden_posts,"
    "  f.id AS first_post_id, f.posted_on AS started_on, f.is_unapproved, f.is_hidden,"
    "  f.poster_id AS starter_id, f.poster_name AS starter_name,"
    "  CASE WHEN fu.id IS NOT NULL THEN fu.slug"
    "   ELSE " SLUG("f.poster_name", "t.starter_name", "t.starter_slug") " END AS starter_slug,"
    "  l.id AS last_post_id, l.posted_on AS last_post_on, l.is_event AS last_post_is_event,"
    "  l.poster_id AS last_poster_id, l.poster_name AS last_poster_name,"
    "  CASE WHEN lu.id IS NOT NULL THEN lu.slug"
    "   ELSE " SLUG("l.poster_name", "t.last_poster_name", "t.last_poster_slug") " END"
    "   AS last_poster_slug"
    " FROM stat s"
    " JOIN misago_threads_thread t ON t.id = s.thread_id"
    " JOIN misago_threads_post f ON f.id = s.first_id"
    " JOIN misago_threads_post l ON l.id = coalesce(s.last_id, s.first_id)"
    " LEFT JOIN misago_users_user fu ON fu.id = f.poster_id"
    " LEFT JOIN misago_users_user lu ON lu.id = l.poster_id"
    " WHERE t.id = ANY ($1::bigint[])"
    "), changed AS ("
    " UPDATE misago_threads_thread t SET replies = n.replies, has_events = n.has_events,"
    "  has_poll = n.has_poll, has_reported_posts = n.has_reported_posts,"
    "  has_open_reports = n.has_open_reports, has_unapproved_posts = n.has_unapproved_posts,"
    "  has_hidden_posts = n.has_hidden_posts, first_post_id = n.first_post_id,"
    "  started_on = n.started_on, is_unapproved = n.is_unapproved, is_hidden = n.is_hidden,"
    "  starter_id = n.starter_id, starter_name = n.starter_name, starter_slug = n.starter_slug,"
    "  last_post_id = n.last_post_id, last_post_on = n.last_post_on,"
    "  last_post_is_event = n.last_post_is_event, last_poster_id = n.last_poster_id,"
    "  last_poster_name = n.last_poster_name, last_poster_slug = n.last_poster_slug"
    " FROM fresh n WHERE t.id = n.id AND t.id = ANY ($1::bigint[]) AND ("
    "  t.replies, t.has_events, t.has_poll, t.has_reported_posts, t.has_open_reports,"
    "  t.has_unapproved_posts, t.has_hidden_posts, t.first_post_id, t.started_on,"
    "  t.is_unapproved, t.is_hidden, t.starter_id, t.starter_name, t.starter_slug,"
    "  t.last_post_id, t.last_post_on, t.last_post_is_event, t.last_poster_id,"
    "  t.last_poster_name, t.last_poster_slug"
    " ) IS DISTINCT FROM ("
    "  n.replies, n.has_events, n.has_poll, n.has_reported_posts, n.has_open_reports,"
    "  n.has_unapproved_posts, n.has_hidden_posts, n.first_post_id, n.started_on,"
    "  n.is_unapproved, n.is_hidden, n.starter_id, n.starter_name, n.starter_slug,"
    "  n.last_post_id, n.last_post_on, n.last_post_is_event, n.last_poster_id,"
    "  n.last_poster_name, n.last_poster_slug"
    " ) RETURNING 1"
    ") SELECT (SELECT count(*) FROM changed), count(*), min(i.id)"
    " FROM unnest($1::bigint[]) i(id)"
    " WHERE NOT EXISTS (SELECT FROM stat s WHERE s.thread_id = i.id)";

/* Of threads posted to at the same moment the one that is stored already stays. */
#define FRESH_CATEGORIES                                                                           \
    "WITH visible AS ("                                                                            \
    " SELECT t.category_id, count(*) AS threads, count(*) + sum(t.replies) AS posts"               \
    " FROM misago_threads_thread t"                                                                \
    " WHERE t.category_id = ANY ($1::bigint[]) AND NOT t.is_hidden AND NOT t.is_unapproved"        \
    " GROUP BY t.category_id"                                                                      \
    "), last AS ("                                                                                 \
    " SELECT DISTINCT ON (t.category_id) t.category_id, t.id, t.title, t.slug, t.last_post_on,"    \
    "  t.last_poster_id, t.last_poster_name, t.last_poster_slug"                                   \
    " FROM misago_threads_thread t JOIN misago_categories_category c ON c.id = t.category_id"      \
    " WHERE t.category_id = ANY ($1::bigint[]) AND NOT t.is_hidden AND NOT t.is_unapproved"        \
    " ORDER BY t.category_id, t.last_post_on DESC,"                                                \
    "  (t.id = c.last_thread_id) IS TRUE DESC, t.id DESC"                                          \
    "), fresh AS ("                                                                                \
    " SELECT c.id, coalesce(v.threads, 0) AS threads, coalesce(v.posts, 0) AS posts,"              \
    "  l.id AS last_thread_id, l.title AS last_thread_title, l.slug AS last_thread_slug,"          \
    "  l.last_post_on, l.last_poster_id, l.last_poster_name, l.last_poster_slug"                   \
    " FROM misago_categories_category c"                                                           \
    " LEFT JOIN visible v ON v.category_id = c.id"                                                 \
    " LEFT JOIN last l ON l.category_id = c.id"                                                    \
    " WHERE c.id = ANY ($1::bigint[])"                                                             \
    ")"

#define CATEGORY_DIFFERS                                                                           \
    "(c.threads, c.posts, c.last_thread_id, c.last_thread_title, c.last_thread_slug,"              \
    " c.last_post_on, c.last_poster_id, c.last_poster_name, c.last_poster_slug)"                   \
    " IS DISTINCT FROM"                                                                            \
    " (n.threads, n.posts, n.last_thread_id, n.last_thread_title, n.last_thread_slug,"             \
    " n.last_post_on, n.last_poster_id, n.last_poster_name, n.last_poster_slug)"

static const char differing_categories[] =
    FRESH_CATEGORIES
    " SELECT c.id FROM misago_categories_category c JOIN fresh n ON n.id = c.id"
    " WHERE " CATEGORY_DIFFERS " ORDER BY c.id";

static const char categories[] =
    FRESH_CATEGORIES ", changed AS ("
    " UPDATE misago_categories_category c SET threads = n.threads, posts = n.posts,"
    "  last_thread_id = n.last_thread_id, last_thread_title = n.last_thread_title,"
    "  last_thread_slug = n.last_thread_slug, last_post_on = n.last_post_on,"
    "  last_poster_id = n.last_poster_id, last_poster_name = n.last_poster_name,"
    "  last_poster_slug = n.last_poster_slug"
    " FROM fresh n WHERE c.id = n.id AND " CATEGORY_DIFFERS " RETURNING 1"
    ") SELECT count(*), 0, NULL FROM changed";

static const char users[] = RECOUNT_USERS_SQL("NOT p.is_event AND NOT p.is_unapproved");

const struct recount_sql recount_sql_039[RECOUNT_KINDS] = {
    [RECOUNT_THREADS] = { NULL, threads },
    [RECOUNT_CATEGORIES] = { differing_categories, categories },
    [RECOUNT_USERS] = { NULL, users },
};
