-- Who gets a mail for having been added to a private thread: by the notifications that there are, so that another run
-- names the same users. $1: the thread, $2: the verb, $3: the users, $4: who added them. Rows: the user.
SELECT DISTINCT n.user_id
FROM misago_threads_thread t
JOIN misago_notifications_notification n ON n.post_id = t.first_post_id
JOIN misago_users_user u ON u.id = n.user_id
LEFT JOIN misago_users_user_follows f ON f.from_user_id = u.id AND f.to_user_id = n.actor_id
WHERE t.id = $1::bigint AND n.verb = $2::text AND NOT n.is_read AND n.user_id = ANY ($3::bigint[])
    AND n.actor_id = $4::bigint
    AND CASE WHEN f.id IS NULL THEN u.notify_new_private_threads_by_other_users
        ELSE u.notify_new_private_threads_by_followed END = 2
ORDER BY n.user_id
