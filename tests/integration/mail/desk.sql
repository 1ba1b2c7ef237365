-- SPDX-License-Identifier: MIT
-- Turns the fixture into what desk.h promises, for either version. Where is what: table desk.
BEGIN;
DELETE FROM misago_notifications_notification;
DELETE FROM misago_notifications_watchedthread;

CREATE TABLE desk AS
SELECT t.id AS thread, p.id AS post, pt.id AS private_thread, pt.first_post_id AS private_post, pt.starter_id AS actor
FROM misago_threads_thread t
JOIN misago_categories_category c ON c.id = t.category_id AND c.special_role IS NULL
JOIN misago_threads_post p ON p.thread_id = t.id AND p.poster_id IS NOT NULL AND NOT p.is_hidden AND NOT p.is_unapproved
JOIN (SELECT x.* FROM misago_threads_thread x JOIN misago_categories_category k ON k.id = x.category_id
    WHERE k.special_role = 'private_threads' AND x.starter_id IS NOT NULL ORDER BY x.id LIMIT 1) pt ON true
WHERE NOT t.is_hidden AND NOT t.is_unapproved AND t.starter_id IS NOT NULL
ORDER BY t.id, p.id DESC LIMIT 1;

UPDATE misago_threads_thread SET title = 'Oiling oak', slug = 'oiling-oak' WHERE id = (SELECT thread FROM desk);
UPDATE misago_threads_thread SET title = 'A surprise', slug = 'a-surprise', is_hidden = false, is_unapproved = false
WHERE id = (SELECT private_thread FROM desk);
UPDATE misago_users_user SET username = 'reader-' || id, slug = 'reader-' || id, email = 'reader-' || id || '@example.org',
    is_active = true, notify_new_private_threads_by_followed = 2, notify_new_private_threads_by_other_users = 2;
UPDATE misago_users_user SET username = 'Wilma' WHERE id = (SELECT poster_id FROM misago_threads_post p, desk
    WHERE p.id = desk.post);
UPDATE misago_conf_setting SET dry_value = CASE setting WHEN 'forum_address' THEN 'https://forum.example.org'
    WHEN 'forum_name' THEN 'The Workbench' ELSE 'With sawdust' END
WHERE setting IN ('forum_address', 'forum_name', 'email_footer');

INSERT INTO misago_notifications_watchedthread
SELECT (jsonb_populate_record(NULL::misago_notifications_watchedthread, jsonb_build_object('id', u.id,
    'send_emails', true, 'secret', md5(u.id::text), 'created_at', now(), 'read_at', now(), 'read_time', now(),
    'category_id', t.category_id, 'thread_id', t.id, 'user_id', u.id, 'plugin_data', '{}'::jsonb))).*
FROM misago_users_user u, desk JOIN misago_threads_thread t ON t.id = desk.thread WHERE u.id > 1;

INSERT INTO misago_notifications_notification (id, verb, is_read, actor_name, thread_title, created_at, actor_id,
    category_id, post_id, thread_id, user_id)
SELECT u.id, CASE WHEN :'version' = '0.39' THEN 'REPLIED' ELSE 'REPLIED_TO_THREAD' END, false, 'Wilma', t.title, now(),
    NULL, t.category_id, desk.post, t.id, u.id
FROM misago_users_user u, desk JOIN misago_threads_thread t ON t.id = desk.thread WHERE u.id > 1
UNION ALL
SELECT 1000 + u.id, CASE WHEN :'version' = '0.39' THEN 'INVITED' ELSE 'ADDED_TO_PRIVATE_THREAD' END, false, 'Wilma',
    t.title, now(), desk.actor, t.category_id, t.first_post_id, t.id, u.id
FROM misago_users_user u, desk JOIN misago_threads_thread t ON t.id = desk.private_thread WHERE u.id > 1;
COMMIT;
