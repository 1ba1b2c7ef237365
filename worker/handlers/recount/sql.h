/* SPDX-License-Identifier: MIT */
/*
 * sql: the statements of the recount, one set for each forum version.
 *
 * Every statement takes the rows' ids as $1, an array. A row's counters are computed from the
 * rows that were committed when the statement began, so the rows to be written must have been
 * locked by an earlier statement: a transaction that adds a post also writes the counters of its
 * thread, category and poster, hence whoever holds their locks and counts afterwards sees either
 * both or none of it. In one statement the count would use the snapshot from before the wait for
 * the lock.
 *
 * Constants.
 */
#ifndef WORKER_HANDLERS_RECOUNT_SQL_H
#define WORKER_HANDLERS_RECOUNT_SQL_H

#include "worker/handlers/common/forum.h"

enum recount_kind {
    RECOUNT_THREADS,
    RECOUNT_CATEGORIES,
    RECOUNT_USERS,
    RECOUNT_KINDS,
};

struct recount_sql {
    /* Ids of $1 whose counters are wrong; reads only. NULL: lock and count unseen. */
    const char *differing;
    /* Writes the counters of $1 that are wrong: one row with how many changed, how many have
       nothing to count from, and the first of those. */
    const char *update;
};

extern const struct recount_sql recount_sql_039[RECOUNT_KINDS];
extern const struct recount_sql recount_sql_040[RECOUNT_KINDS];

/*
 * The slug of a guest's name: what the forum makes of it as far as that is certain. Letters of
 * the Latin alphabet lose their marks; a name in another script keeps the slug that is stored,
 * and so does any name outside ASCII that did not change, since the forum's own transliteration
 * knows more letters.
 *
 * name, stored_name, stored_slug: SQL expressions. parting: characters that part words; spaces:
 * as many spaces.
 */
#define RECOUNT_GUEST_SLUG(name, stored_name, stored_slug, parting, spaces)                        \
    "(SELECT CASE"                                                                                 \
    " WHEN g.plain <> g.raw AND g.raw = " stored_name " THEN " stored_slug                         \
    " WHEN octet_length(g.plain) <> char_length(g.plain) THEN " stored_slug                        \
    " ELSE left(btrim(regexp_replace(regexp_replace("                                              \
    "lower(btrim(translate(g.plain, '" parting "', '" spaces "')) COLLATE \"C\"),"                 \
    " '[^a-z0-9_[:space:]-]', '', 'g'), '[-[:space:]]+', '-', 'g'), '-_'), 255) END"               \
    " FROM (SELECT " name " AS raw, " RECOUNT_PLAIN(name) " AS plain) g)"

#define RECOUNT_PLAIN(name)                                                                        \
    "replace(replace(replace(replace(replace(replace(replace(translate(" name ", '"                \
    "ÀÁÂÃÄÅÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝàáâãäåçèéêëìíîïðñòóôõöøùúûüýÿĀāĂăĄąĆćĈĉĊċČčĎďĐđĒēĔĕĖ"             \
    "ėĘęĚěĜĝĞğĠġĢģĤĥĦħĨĩĪīĬĭĮįİıĴĵĶķĹĺĻļĽľĿŀŁłŃńŅņŇňŉŌōŎŏŐőŔŕŖŗŘřŚśŜŝŞşŠšŢţŤťŦŧŨũŪūŬŭ"             \
    "ŮůŰűŲųŴŵŶŷŸŹźŻżŽžſȘșȚț"                                                                       \
    "', '"                                                                                         \
    "AAAAAACEEEEIIIIDNOOOOOOUUUUYaaaaaaceeeeiiiidnoooooouuuuyyAaAaAaCcCcCcCcDdDdEeEeE"             \
    "eEeEeGgGgGgGgHhHhIiIiIiIiIiJjKkLlLlLlLlLlNnNnNnnOoOoOoRrRrRrSsSsSsSsTtTtTtUuUuUu"             \
    "UuUuUuWwYyYZzZzZzsSsTt"                                                                       \
    "'),"                                                                                          \
    " 'ß', 'ss'), 'Æ', 'AE'), 'æ', 'ae'), 'Œ', 'OE'), 'œ', 'oe'), 'Þ', 'Th'), 'þ', 'th')"

/* Private threads are outside the tree of the root category and count for nobody. is_counted: of
   a post p. */
#define RECOUNT_USERS_SQL(is_counted)                                                              \
    "WITH counted AS ("                                                                            \
    " SELECT c.id FROM misago_categories_category c JOIN misago_categories_category r"             \
    " ON r.special_role = 'root_category' AND c.tree_id = r.tree_id"                               \
    " AND c.lft > r.lft AND c.rght < r.rght"                                                       \
    "), started AS ("                                                                              \
    " SELECT t.starter_id AS id, count(*) AS n FROM misago_threads_thread t"                       \
    " WHERE t.starter_id = ANY ($1::bigint[]) AND NOT t.is_hidden AND NOT t.is_unapproved"         \
    " AND t.category_id = ANY (ARRAY(SELECT id FROM counted)) GROUP BY t.starter_id"               \
    "), written AS ("                                                                              \
    " SELECT p.poster_id AS id, count(*) AS n FROM misago_threads_post p"                          \
    " WHERE p.poster_id = ANY ($1::bigint[]) AND " is_counted                                      \
    " AND p.category_id = ANY (ARRAY(SELECT id FROM counted)) GROUP BY p.poster_id"                \
    "), followers AS ("                                                                            \
    " SELECT f.to_user_id AS id, count(*) AS n FROM misago_users_user_follows f"                   \
    " WHERE f.to_user_id = ANY ($1::bigint[]) GROUP BY f.to_user_id"                               \
    "), following AS ("                                                                            \
    " SELECT f.from_user_id AS id, count(*) AS n FROM misago_users_user_follows f"                 \
    " WHERE f.from_user_id = ANY ($1::bigint[]) GROUP BY f.from_user_id"                           \
    "), fresh AS ("                                                                                \
    " SELECT u.id, coalesce(s.n, 0) AS threads, coalesce(w.n, 0) AS posts,"                        \
    "  coalesce(a.n, 0) AS followers, coalesce(b.n, 0) AS following"                               \
    " FROM misago_users_user u LEFT JOIN started s USING (id) LEFT JOIN written w USING (id)"      \
    " LEFT JOIN followers a USING (id) LEFT JOIN following b USING (id)"                           \
    " WHERE u.id = ANY ($1::bigint[])"                                                             \
    "), changed AS ("                                                                              \
    " UPDATE misago_users_user u SET threads = n.threads, posts = n.posts,"                        \
    "  followers = n.followers, following = n.following"                                           \
    " FROM fresh n WHERE u.id = n.id AND (u.threads, u.posts, u.followers, u.following)"           \
    "  IS DISTINCT FROM (n.threads, n.posts, n.followers, n.following) RETURNING 1"                \
    ") SELECT count(*), 0, NULL FROM changed"

#endif
