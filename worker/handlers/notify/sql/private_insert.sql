-- Notifications of having been added to a private thread. $1: the thread, $2: the verb, $3: the users, $4: who added
-- them. One row: the users.
WITH told AS (
    INSERT INTO misago_notifications_notification (user_id, verb, is_read, actor_id, actor_name, category_id, thread_id,
        thread_title, post_id, created_at)
    SELECT u.id, $2::text, false, a.id, a.username, t.category_id, t.id, t.title, t.first_post_id, now()
    FROM unnest($3::bigint[]) u(id)
    CROSS JOIN misago_threads_thread t
    CROSS JOIN misago_users_user a
    WHERE t.id = $1::bigint AND a.id = $4::bigint
    ORDER BY u.id
    RETURNING user_id
)
SELECT coalesce(array_agg(t.user_id ORDER BY t.user_id), '{}'), count(*) FROM told t
