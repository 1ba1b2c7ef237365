-- SPDX-License-Identifier: MIT
-- Posts a reply in each of five threads that many have read to the end, as the forum does: the post, and one more in
-- every counter it belongs to, in one transaction. Prints the ids of the posts.

CREATE TABLE quickstart.replies AS
SELECT row_number() OVER (ORDER BY t.id)::integer AS nr, NULL::integer AS post_id, t.id AS thread_id, t.category_id,
    u.id AS user_id, u.username, u.slug
FROM misago_threads_thread t
JOIN misago_categories_category c ON c.id = t.category_id AND c.special_role IS NULL
JOIN misago_users_user u ON u.id = 20 + t.id % 5
JOIN (
    SELECT thread_id, count(*) AS readers FROM misago_notifications_watchedthread w
    JOIN misago_threads_thread t ON t.id = w.thread_id WHERE w.read_at >= t.last_post_on GROUP BY thread_id
) n ON n.thread_id = t.id
WHERE NOT t.is_hidden AND NOT t.is_unapproved
ORDER BY n.readers DESC, t.id LIMIT 5;

WITH posted AS (
    INSERT INTO misago_threads_post (poster_name, original, posted_on, updated_on, has_reports, has_open_reports,
        is_unapproved, is_hidden, is_event, category_id, poster_id, thread_id)
    SELECT username, 'Has anybody tried it without the lid?', now(), now(), false, false, false, false, false,
        category_id, user_id, thread_id
    FROM quickstart.replies RETURNING id, thread_id
)
UPDATE quickstart.replies r SET post_id = p.id FROM posted p WHERE p.thread_id = r.thread_id;

UPDATE misago_threads_thread t SET replies = t.replies + 1, last_post_id = r.post_id, last_post_on = now(),
    last_post_is_event = false, last_poster_id = r.user_id, last_poster_name = r.username, last_poster_slug = r.slug
FROM quickstart.replies r WHERE t.id = r.thread_id;
UPDATE misago_categories_category c SET posts = c.posts + n.posts, last_post_on = now(), last_poster_id = l.user_id,
    last_poster_name = l.username, last_poster_slug = l.slug, last_thread_id = t.id, last_thread_title = t.title,
    last_thread_slug = t.slug
FROM (SELECT category_id, count(*) AS posts, max(nr) AS last_nr FROM quickstart.replies GROUP BY category_id) n
JOIN quickstart.replies l ON l.nr = n.last_nr JOIN misago_threads_thread t ON t.id = l.thread_id
WHERE c.id = n.category_id;
UPDATE misago_users_user u SET posts = u.posts + n.posts
FROM (SELECT user_id, count(*) AS posts FROM quickstart.replies GROUP BY user_id) n WHERE u.id = n.user_id;

SELECT post_id FROM quickstart.replies ORDER BY nr;
