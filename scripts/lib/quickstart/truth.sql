-- SPDX-License-Identifier: MIT
-- The truth, kept apart from the forum before its counters go wrong: rows as they were, and numbers counted again from
-- posts, threads and follows.

CREATE SCHEMA quickstart;
CREATE TABLE quickstart.threads AS SELECT * FROM misago_threads_thread;
CREATE TABLE quickstart.categories AS SELECT * FROM misago_categories_category;
CREATE TABLE quickstart.users AS SELECT * FROM misago_users_user;
CREATE VIEW quickstart.differing AS
    SELECT 'threads' AS kind, count(*) AS n FROM misago_threads_thread a JOIN quickstart.threads b USING (id)
        WHERE a::text IS DISTINCT FROM b::text
    UNION ALL SELECT 'categories', count(*) FROM misago_categories_category a JOIN quickstart.categories b USING (id)
        WHERE a::text IS DISTINCT FROM b::text
    UNION ALL SELECT 'users', count(*) FROM misago_users_user a JOIN quickstart.users b USING (id)
        WHERE a::text IS DISTINCT FROM b::text;
CREATE VIEW quickstart.wrong_values AS
    SELECT count(*) AS n FROM (
        SELECT to_jsonb(a) AS now, to_jsonb(b) AS truth FROM misago_threads_thread a JOIN quickstart.threads b USING (id)
        UNION ALL SELECT to_jsonb(a), to_jsonb(b) FROM misago_categories_category a JOIN quickstart.categories b USING (id)
        UNION ALL SELECT to_jsonb(a), to_jsonb(b) FROM misago_users_user a JOIN quickstart.users b USING (id)
    ) rows, jsonb_each(now) v WHERE v.value IS DISTINCT FROM truth -> v.key;
CREATE VIEW quickstart.miscounted AS
    WITH public_categories AS (SELECT id FROM misago_categories_category WHERE tree_id = (
        SELECT tree_id FROM misago_categories_category WHERE special_role = 'root_category') AND level > 0)
    SELECT 'thread' AS what, t.id FROM misago_threads_thread t WHERE t.replies <> greatest(0, (
        SELECT count(*) - 1 FROM misago_threads_post p
        WHERE p.thread_id = t.id AND NOT p.is_event AND NOT p.is_unapproved))
    UNION ALL
    SELECT 'category', c.id FROM misago_categories_category c WHERE (c.threads, c.posts) <> (
        SELECT count(*), coalesce(sum(t.replies + 1), 0) FROM misago_threads_thread t
        WHERE t.category_id = c.id AND NOT t.is_hidden AND NOT t.is_unapproved)
    UNION ALL
    SELECT 'user', u.id FROM misago_users_user u WHERE (u.threads, u.posts, u.followers, u.following) <> (
        (SELECT count(*) FROM misago_threads_thread t WHERE t.starter_id = u.id AND NOT t.is_hidden
            AND NOT t.is_unapproved AND t.category_id IN (SELECT id FROM public_categories)),
        (SELECT count(*) FROM misago_threads_post p WHERE p.poster_id = u.id AND NOT p.is_event
            AND NOT p.is_unapproved AND p.category_id IN (SELECT id FROM public_categories)),
        (SELECT count(*) FROM misago_users_user_follows f WHERE f.to_user_id = u.id),
        (SELECT count(*) FROM misago_users_user_follows f WHERE f.from_user_id = u.id));
