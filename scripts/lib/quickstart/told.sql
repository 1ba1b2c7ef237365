-- SPDX-License-Identifier: MIT
-- What the forum knew before anybody was told of anything new, and what should have come of it afterwards.

CREATE TABLE quickstart.before AS SELECT id AS user_id, unread_notifications AS unread FROM misago_users_user;
CREATE TABLE quickstart.newest AS SELECT max(id) AS id FROM misago_notifications_notification;

CREATE VIEW quickstart.told AS
    SELECT n.* FROM misago_notifications_notification n, quickstart.newest WHERE n.id > newest.id;

-- Users whose number of unread notifications is not what it was and one more for each new one.
CREATE VIEW quickstart.wrong_unread AS
    SELECT u.id FROM misago_users_user u JOIN quickstart.before b ON b.user_id = u.id
    WHERE u.unread_notifications <> b.unread + (SELECT count(*) FROM quickstart.told t WHERE t.user_id = u.id);

-- The same user told twice of the same.
CREATE VIEW quickstart.told_twice AS
    SELECT user_id, post_id, verb FROM quickstart.told GROUP BY user_id, post_id, verb HAVING count(*) > 1;

-- Who of them wants a mail of it: a line for each mail. Of a private thread by their preference, which is another for
-- those whom they follow.
CREATE VIEW quickstart.mails AS
    SELECT t.id, u.email FROM quickstart.told t JOIN misago_users_user u ON u.id = t.user_id
    WHERE CASE WHEN t.verb = 'REPLIED' THEN EXISTS (
            SELECT FROM misago_notifications_watchedthread w
            WHERE w.user_id = u.id AND w.thread_id = t.thread_id AND w.send_emails)
        WHEN EXISTS (
            SELECT FROM misago_users_user_follows f WHERE f.from_user_id = u.id AND f.to_user_id = t.actor_id)
        THEN u.notify_new_private_threads_by_followed = 2
        ELSE u.notify_new_private_threads_by_other_users = 2 END;
