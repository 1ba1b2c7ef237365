-- Who is told of having been added to a private thread, in a forum 0.39. $1: the thread, $2: who added them, $3: the
-- users. One row: those who watch such threads, and whether each does by mail too; those who are told. Whoever was
-- told and has not looked since is left out.
WITH letters AS MATERIALIZED (
    SELECT coalesce(array_agg(l.id) FILTER (
            WHERE l.permissions #> '{misago.threads.permissions.privatethreads,can_use_private_threads}'
            NOT IN ('0', 'false', 'null')), '{}') AS using_private,
        coalesce(array_agg(l.id) FILTER (
            WHERE l.permissions #> '{misago.threads.permissions.privatethreads,can_moderate_private_threads}'
            NOT IN ('0', 'false', 'null')), '{}') AS moderating_private
    FROM misago_acl_role l
),
reader AS MATERIALIZED (
    SELECT u.id AS user_id, u.username, u.email,
        CASE WHEN f.id IS NULL THEN u.watch_new_private_threads_by_other_users
            ELSE u.watch_new_private_threads_by_followed END AS watching,
        CASE WHEN f.id IS NULL THEN u.notify_new_private_threads_by_other_users
            ELSE u.notify_new_private_threads_by_followed END AS notifying
    FROM misago_threads_thread t
    CROSS JOIN letters l
    JOIN misago_users_user u ON u.id = ANY ($3::bigint[]) AND u.is_active
    CROSS JOIN LATERAL (
        SELECT array_agg(a.role_id) AS roles FROM (
            SELECT d.role_id FROM misago_users_user_roles d WHERE d.user_id = u.id
            UNION
            SELECT d.role_id FROM misago_users_rank_roles d WHERE d.rank_id = u.rank_id
        ) a
    ) h
    LEFT JOIN misago_users_user_follows f ON f.from_user_id = u.id AND f.to_user_id = $2::bigint
    WHERE t.id = $1::bigint AND h.roles && l.using_private
        AND (t.has_reported_posts AND h.roles && l.moderating_private
            OR EXISTS (SELECT FROM misago_threads_threadparticipant m
                WHERE m.thread_id = t.id AND m.user_id = u.id))
        AND NOT EXISTS (SELECT FROM misago_notifications_notification n
            WHERE n.post_id = t.first_post_id AND n.user_id = u.id AND n.verb = 'INVITED' AND NOT n.is_read)
),
--@include banned.sql
SELECT coalesce(array_agg(r.user_id ORDER BY r.user_id) FILTER (WHERE r.watching > 0), '{}'),
    coalesce(array_agg(r.watching = 2 ORDER BY r.user_id) FILTER (WHERE r.watching > 0), '{}'),
    coalesce(array_agg(r.user_id ORDER BY r.user_id) FILTER (WHERE r.notifying > 0), '{}')
FROM reader r
WHERE NOT EXISTS (SELECT FROM banned b WHERE b.user_id = r.user_id)
