-- Who is told of having been added to a private thread, in a forum 0.40. $1: the thread, $2: who added them, $3: the
-- users. One row: those who watch such threads, and whether each does by mail too; those who are told. Whoever was
-- told and has not looked since is left out.
WITH reader AS MATERIALIZED (
    SELECT u.id AS user_id, u.username, u.email,
        CASE WHEN f.id IS NULL THEN u.watch_new_private_threads_by_other_users
            ELSE u.watch_new_private_threads_by_followed END AS watching,
        CASE WHEN f.id IS NULL THEN u.notify_new_private_threads_by_other_users
            ELSE u.notify_new_private_threads_by_followed END AS notifying
    FROM misago_users_user u
    LEFT JOIN misago_users_user_follows f ON f.from_user_id = u.id AND f.to_user_id = $2::bigint
    WHERE u.id = ANY ($3::bigint[]) AND u.is_active
        -- 0 no, 1 yes, 2 never
        AND (SELECT bool_or(g.can_use_private_threads = 1) AND bool_and(g.can_use_private_threads <> 2)
            FROM misago_users_group g WHERE g.id = ANY (u.groups_ids))
        AND EXISTS (SELECT FROM misago_privatethreads_privatethreadmember m
            WHERE m.thread_id = $1::bigint AND m.user_id = u.id)
        AND NOT EXISTS (SELECT FROM misago_notifications_notification n
            JOIN misago_threads_thread t ON t.first_post_id = n.post_id
            WHERE t.id = $1::bigint AND n.user_id = u.id AND n.verb = 'ADDED_TO_PRIVATE_THREAD' AND NOT n.is_read)
),
--@include banned.sql
SELECT coalesce(array_agg(r.user_id ORDER BY r.user_id) FILTER (WHERE r.watching > 0), '{}'),
    coalesce(array_agg(r.watching = 2 ORDER BY r.user_id) FILTER (WHERE r.watching > 0), '{}'),
    coalesce(array_agg(r.user_id ORDER BY r.user_id) FILTER (WHERE r.notifying > 0), '{}')
FROM reader r
WHERE NOT EXISTS (SELECT FROM banned b WHERE b.user_id = r.user_id)
