-- Who gets a mail for a reply: by the notifications that there are, so that another run names the same users.
-- $1: the post, $2: the verb. Rows: the watch, the user. Of several watches any that asks for mail will do.
SELECT DISTINCT ON (n.user_id) w.id, n.user_id
FROM misago_notifications_notification n
JOIN misago_notifications_watchedthread w ON w.thread_id = n.thread_id AND w.user_id = n.user_id AND w.send_emails
WHERE n.post_id = $1::bigint AND n.verb = $2::text AND NOT n.is_read
ORDER BY n.user_id, w.id
