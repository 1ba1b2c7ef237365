-- Lets users watch the private thread they were added to, in a forum 0.40. $1: the thread, $2: the users, $3: whether
-- each gets mail. It counts as not read at all, so that a reply before they look tells them nothing new.
WITH thread AS MATERIALIZED (
    SELECT t.id, t.category_id, t.started_at - interval '5 seconds' AS read_time FROM misago_threads_thread t
    WHERE t.id = $1::bigint
),
again AS (
    UPDATE misago_notifications_watchedthread w SET read_time = t.read_time
    FROM thread t
    WHERE w.thread_id = t.id AND w.user_id = ANY ($2::bigint[]) AND w.read_time <> t.read_time
)
INSERT INTO misago_notifications_watchedthread (user_id, category_id, thread_id, send_emails, secret, created_at,
    read_time, plugin_data)
SELECT u.id, t.category_id, t.id, u.send_emails, replace(gen_random_uuid()::text, '-', ''), now(), t.read_time, '{}'
FROM thread t
CROSS JOIN unnest($2::bigint[], $3::boolean[]) u(id, send_emails)
WHERE NOT EXISTS (SELECT FROM misago_notifications_watchedthread w WHERE w.thread_id = t.id AND w.user_id = u.id)
