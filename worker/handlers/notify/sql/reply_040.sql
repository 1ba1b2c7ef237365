-- Who is told of a reply, in a forum 0.40. $1: the post. One row: the users as an array.
WITH reply AS MATERIALIZED (
    SELECT p.id, p.poster_id, p.is_hidden, p.is_unapproved, p.category_id, c.tree_id, c.level, c.lft, c.rght,
        c.show_started_only AND t.pinned = 0 AS is_for_starter, t.id AS thread_id, t.starter_id,
        t.is_hidden AS is_in_hidden, t.is_unapproved AS is_in_unapproved,
        EXISTS (SELECT FROM misago_categories_category root WHERE root.tree_id = c.tree_id
            AND root.special_role = 'private_threads') AS is_private
    FROM misago_threads_post p
    JOIN misago_threads_thread t ON t.id = p.thread_id
    JOIN misago_categories_category c ON c.id = p.category_id
    WHERE p.id = $1::bigint
),
watcher AS MATERIALIZED (
    -- Nothing keeps a user from watching a thread twice, as happens after a merge.
    SELECT w.user_id, max(w.read_time) AS read_time
    FROM misago_notifications_watchedthread w
    WHERE w.thread_id = (SELECT r.thread_id FROM reply r)
    GROUP BY w.user_id
),
reader AS MATERIALIZED (
    SELECT u.id AS user_id, u.username, u.email, u.groups_ids, w.read_time,
        u.groups_ids && '{1,2}' OR EXISTS (
            SELECT FROM misago_permissions_moderator m
            WHERE (m.user_id = u.id OR m.group_id = ANY (u.groups_ids))
            AND (m.is_global OR r.category_id = ANY (m.categories))
        ) AS is_moderator
    FROM watcher w
    JOIN misago_users_user u ON u.id = w.user_id
    CROSS JOIN reply r
    WHERE u.is_active AND u.id IS DISTINCT FROM r.poster_id
),
--@include banned.sql
,
way AS MATERIALIZED (
    -- The category and those above it, with the groups that may pass.
    SELECT a.id, a.delay_browse_check AND a.id <> r.category_id AS is_open_to_seeing,
        coalesce(array_agg(g.group_id) FILTER (WHERE g.permission = 'see'), '{}') AS seeing,
        coalesce(array_agg(g.group_id) FILTER (WHERE g.permission = 'browse'), '{}') AS browsing
    FROM reply r
    JOIN misago_categories_category a
        ON a.tree_id = r.tree_id AND a.level >= 1 AND a.lft <= r.lft AND a.rght >= r.rght
    LEFT JOIN misago_permissions_categorygrouppermission g ON g.category_id = a.id
    GROUP BY a.id, r.category_id
),
earlier AS MATERIALIZED (
    SELECT p.poster_id, p.is_unapproved AND NOT r.is_private AS is_for_moderators, max(p.posted_at) AS posted_at
    FROM reply r
    JOIN misago_threads_post p ON p.thread_id = r.thread_id AND p.id < r.id
    WHERE p.posted_at > (SELECT min(w.read_time) FROM watcher w)
    GROUP BY p.poster_id, p.is_unapproved AND NOT r.is_private
),
newest AS MATERIALIZED (
    -- One's own posts do not count as unread: the newest of two posters tells for every reader.
    SELECT k.is_moderator, e.poster_id, e.posted_at
    FROM (VALUES (true), (false)) k(is_moderator)
    CROSS JOIN LATERAL (
        SELECT e.poster_id, max(e.posted_at) AS posted_at FROM earlier e
        WHERE k.is_moderator OR NOT e.is_for_moderators
        GROUP BY e.poster_id ORDER BY 2 DESC LIMIT 2
    ) e
)
SELECT coalesce(array_agg(w.user_id ORDER BY w.user_id), '{}')
FROM reader w
CROSS JOIN reply r
WHERE NOT EXISTS (SELECT FROM banned b WHERE b.user_id = w.user_id)
    AND CASE WHEN r.is_private THEN
        -- 0 no, 1 yes, 2 never
        (SELECT bool_or(g.can_use_private_threads = 1) AND bool_and(g.can_use_private_threads <> 2)
            FROM misago_users_group g WHERE g.id = ANY (w.groups_ids))
        AND EXISTS (SELECT FROM misago_privatethreads_privatethreadmember m
            WHERE m.thread_id = r.thread_id AND m.user_id = w.user_id)
    ELSE
        r.level >= 1
        AND NOT EXISTS (SELECT FROM way a WHERE NOT w.groups_ids && a.seeing
            OR NOT (w.groups_ids && a.browsing OR a.is_open_to_seeing))
        AND (w.is_moderator OR (
            NOT r.is_hidden AND NOT r.is_unapproved AND NOT r.is_in_hidden
            AND (w.user_id = r.starter_id OR NOT r.is_in_unapproved AND NOT r.is_for_starter)))
    END
    -- One notification until the thread is read.
    AND NOT EXISTS (SELECT FROM newest n WHERE n.is_moderator = w.is_moderator
        AND n.poster_id IS DISTINCT FROM w.user_id AND n.posted_at > w.read_time)
