-- Who is told of a reply, in a forum 0.39. $1: the post. One row: the users as an array.
WITH reply AS MATERIALIZED (
    SELECT p.id, p.poster_id, p.is_hidden AND p.is_event AS is_hidden_event,
        p.is_unapproved AND NOT p.is_event AS is_unapproved, p.category_id, c.tree_id, c.level, c.lft, c.rght,
        t.id AS thread_id, t.starter_id, t.is_hidden AS is_in_hidden, t.is_unapproved AS is_in_unapproved,
        t.has_reported_posts,
        EXISTS (SELECT FROM misago_categories_category root WHERE root.tree_id = c.tree_id
            AND root.special_role = 'private_threads') AS is_private
    FROM misago_threads_post p
    JOIN misago_threads_thread t ON t.id = p.thread_id
    JOIN misago_categories_category c ON c.id = p.category_id
    WHERE p.id = $1::bigint
),
watcher AS MATERIALIZED (
    -- Nothing keeps a user from watching a thread twice, as happens after a merge.
    SELECT w.user_id, max(w.read_at) AS read_at
    FROM misago_notifications_watchedthread w
    WHERE w.thread_id = (SELECT r.thread_id FROM reply r)
    GROUP BY w.user_id
),
held AS MATERIALIZED (
    SELECT h.user_id, array_agg(h.role_id) AS roles
    FROM (
        SELECT a.user_id, a.role_id
        FROM watcher w JOIN misago_users_user_roles a ON a.user_id = w.user_id
        UNION
        SELECT u.id, a.role_id
        FROM watcher w
        JOIN misago_users_user u ON u.id = w.user_id
        JOIN misago_users_rank_roles a ON a.rank_id = u.rank_id
    ) h
    GROUP BY h.user_id
),
way AS MATERIALIZED (
    -- The category and those above it, with the roles that may pass, and what else they may there. A right is
    -- written as a number or as a boolean; of several roles the one that grants most counts.
    SELECT a.id = r.category_id AS is_own,
        coalesce(array_agg(g.role_id) FILTER (
            WHERE g.category #> '{can_see}' NOT IN ('0', 'false', 'null')), '{}') AS seeing,
        coalesce(array_agg(g.role_id) FILTER (
            WHERE g.category #> '{can_browse}' NOT IN ('0', 'false', 'null')), '{}') AS browsing,
        coalesce(array_agg(g.role_id) FILTER (
            WHERE g.threads #> '{can_see_all_threads}' NOT IN ('0', 'false', 'null')), '{}') AS seeing_all,
        coalesce(array_agg(g.role_id) FILTER (
            WHERE g.threads #> '{can_hide_threads}' NOT IN ('0', 'false', 'null')), '{}') AS hiding,
        coalesce(array_agg(g.role_id) FILTER (
            WHERE g.threads #> '{can_approve_content}' NOT IN ('0', 'false', 'null')), '{}') AS approving,
        coalesce(array_agg(g.role_id) FILTER (
            WHERE g.threads #> '{can_hide_events}' NOT IN ('0', 'false', 'null')), '{}') AS hiding_events
    FROM reply r
    JOIN misago_categories_category a
        ON a.tree_id = r.tree_id AND a.level >= 1 AND a.lft <= r.lft AND a.rght >= r.rght
    LEFT JOIN LATERAL (
        SELECT l.role_id, k.permissions -> 'misago.categories.permissions' AS category,
            k.permissions -> 'misago.threads.permissions.threads' AS threads
        FROM misago_categories_rolecategoryacl l
        JOIN misago_categories_categoryrole k ON k.id = l.category_role_id
        WHERE l.category_id = a.id
    ) g ON true
    GROUP BY a.id, r.category_id
),
letters AS MATERIALIZED (
    SELECT coalesce(array_agg(l.id) FILTER (
            WHERE l.permissions #> '{misago.threads.permissions.privatethreads,can_use_private_threads}'
            NOT IN ('0', 'false', 'null')), '{}') AS using_private,
        coalesce(array_agg(l.id) FILTER (
            WHERE l.permissions #> '{misago.threads.permissions.privatethreads,can_moderate_private_threads}'
            NOT IN ('0', 'false', 'null')), '{}') AS moderating_private
    FROM misago_acl_role l
),
reader AS MATERIALIZED (
    SELECT u.id AS user_id, u.username, u.email, w.read_at,
        coalesce(h.roles, '{}') AS roles,
        r.is_private OR coalesce(h.roles && o.approving, false) AS is_approving,
        r.is_private OR coalesce(h.roles && o.hiding_events, false) AS is_hiding_events
    FROM watcher w
    JOIN misago_users_user u ON u.id = w.user_id
    CROSS JOIN reply r
    LEFT JOIN held h ON h.user_id = w.user_id
    LEFT JOIN way o ON o.is_own
    WHERE u.is_active AND u.id IS DISTINCT FROM r.poster_id
),
--@include banned.sql
,
earlier AS MATERIALIZED (
    SELECT p.poster_id, p.is_unapproved, p.is_event AND p.is_hidden AS is_hidden_event, max(p.posted_on) AS posted_on
    FROM reply r
    JOIN misago_threads_post p ON p.thread_id = r.thread_id AND p.id < r.id
    WHERE p.posted_on > (SELECT min(w.read_at) FROM watcher w)
    GROUP BY 1, 2, 3
),
newest AS MATERIALIZED (
    -- One's own posts do not count as unread: the newest of two posters tells for every reader.
    SELECT k.is_approving, k.is_hiding_events, e.poster_id, e.posted_on
    FROM (VALUES (true, true), (true, false), (false, true), (false, false)) k(is_approving, is_hiding_events)
    CROSS JOIN LATERAL (
        SELECT e.poster_id, max(e.posted_on) AS posted_on FROM earlier e
        WHERE (k.is_approving OR NOT e.is_unapproved) AND (k.is_hiding_events OR NOT e.is_hidden_event)
        GROUP BY e.poster_id ORDER BY 2 DESC LIMIT 2
    ) e
)
SELECT coalesce(array_agg(w.user_id ORDER BY w.user_id), '{}')
FROM reader w
CROSS JOIN reply r
CROSS JOIN letters l
LEFT JOIN way o ON o.is_own
WHERE NOT EXISTS (SELECT FROM banned b WHERE b.user_id = w.user_id)
    AND CASE WHEN r.is_private THEN
        w.roles && l.using_private
        AND (r.has_reported_posts AND w.roles && l.moderating_private
            OR EXISTS (SELECT FROM misago_threads_threadparticipant m
                WHERE m.thread_id = r.thread_id AND m.user_id = w.user_id))
    ELSE
        r.level >= 1
        AND NOT EXISTS (SELECT FROM way a WHERE NOT (w.roles && a.seeing AND w.roles && a.browsing))
        AND (NOT r.is_in_hidden OR w.roles && o.hiding)
        AND (w.user_id = r.starter_id
            OR w.roles && o.seeing_all AND (NOT r.is_in_unapproved OR w.is_approving))
        AND (NOT r.is_unapproved OR w.is_approving)
        AND (NOT r.is_hidden_event OR w.is_hiding_events)
    END
    -- One notification until the thread is read.
    AND NOT EXISTS (SELECT FROM newest n
        WHERE n.is_approving = w.is_approving AND n.is_hiding_events = w.is_hiding_events
        AND n.poster_id IS DISTINCT FROM w.user_id AND n.posted_on > w.read_at)
