-- Leaves each user one watch of a thread, in a forum 0.40: the one last read, by mail if any was. $1: the thread, whose
-- rows are locked. One row: how many were deleted, how many of those kept now send mail.
WITH ranked AS MATERIALIZED (
    SELECT w.id, row_number() OVER (PARTITION BY w.user_id ORDER BY w.read_time DESC, w.id) AS nr,
        bool_or(w.send_emails) OVER (PARTITION BY w.user_id) AS send_emails
    FROM misago_notifications_watchedthread w
    WHERE w.thread_id = $1::bigint
),
upgraded AS (
    UPDATE misago_notifications_watchedthread w SET send_emails = true
    FROM ranked r
    WHERE w.id = r.id AND r.nr = 1 AND r.send_emails AND NOT w.send_emails
    RETURNING 1
),
deleted AS (
    DELETE FROM misago_notifications_watchedthread w
    USING ranked r
    WHERE w.id = r.id AND r.nr > 1
    RETURNING 1
)
SELECT (SELECT count(*) FROM deleted), (SELECT count(*) FROM upgraded)
