-- Notifications of a reply. $1: the post, $2: the verb, $3: the users. One row: those who had none yet. A guest, and
-- whoever was deleted since, is known by the name that the post carries.
WITH told AS (
    INSERT INTO misago_notifications_notification (user_id, verb, is_read, actor_id, actor_name, category_id, thread_id,
        thread_title, post_id, created_at)
    SELECT u.id, $2::text, false, p.poster_id, coalesce(a.username, p.poster_name), p.category_id, p.thread_id, t.title,
        p.id, now()
    FROM unnest($3::bigint[]) u(id)
    CROSS JOIN misago_threads_post p
    JOIN misago_threads_thread t ON t.id = p.thread_id
    LEFT JOIN misago_users_user a ON a.id = p.poster_id
    WHERE p.id = $1::bigint AND NOT EXISTS (SELECT FROM misago_notifications_notification n
        WHERE n.post_id = p.id AND n.user_id = u.id AND n.verb = $2::text)
    ORDER BY u.id
    RETURNING user_id
)
SELECT coalesce(array_agg(t.user_id ORDER BY t.user_id), '{}'), count(*) FROM told t
