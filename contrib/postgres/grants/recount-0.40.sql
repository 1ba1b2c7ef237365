-- SPDX-License-Identifier: MIT
-- What the module recount needs of the tables of a forum 0.40, column by column: psql -v ON_ERROR_STOP=1 -f
-- this file, as their owner, after roles.sql. Run again it changes nothing.
BEGIN;

-- Where the forum's tables are.
GRANT USAGE ON SCHEMA public TO jobq_recount;

GRANT SELECT (id, title, slug, category_id, replies, has_events, has_poll, has_reported_posts, has_open_reports,
              has_unapproved_posts, has_hidden_posts, is_hidden, is_unapproved, first_post_id, started_at,
              starter_id, starter_name, starter_slug, last_post_id, last_posted_at, last_poster_id, last_poster_name,
              last_poster_slug, solution_id, solution_posted_at, solution_by_id, solution_by_name, solution_by_slug,
              solution_selected_at, solution_selected_by_id, solution_selected_by_name, solution_selected_by_slug,
              solution_is_locked, solution_locked_at, solution_locked_by_id, solution_locked_by_name,
              solution_locked_by_slug),
      UPDATE (replies, has_events, has_poll, has_reported_posts, has_open_reports, has_unapproved_posts,
              has_hidden_posts, first_post_id, started_at, starter_id, starter_name, starter_slug, last_post_id,
              last_posted_at, last_poster_id, last_poster_name, last_poster_slug, solution_id, solution_posted_at,
              solution_by_id, solution_by_name, solution_by_slug, solution_selected_at, solution_selected_by_id,
              solution_selected_by_name, solution_selected_by_slug, solution_is_locked, solution_locked_at,
              solution_locked_by_id, solution_locked_by_name, solution_locked_by_slug)
    ON misago_threads_thread TO jobq_recount;
GRANT SELECT (id, thread_id, category_id, poster_id, poster_name, posted_at, is_unapproved, is_hidden)
    ON misago_threads_post TO jobq_recount;
GRANT SELECT (id, special_role, tree_id, lft, rght, threads, posts, unapproved_threads, unapproved_posts,
              last_thread_id, last_thread_title, last_thread_slug, last_posted_at, last_poster_id, last_poster_name,
              last_poster_slug),
      UPDATE (threads, posts, unapproved_threads, unapproved_posts, last_thread_id, last_thread_title,
              last_thread_slug, last_posted_at, last_poster_id, last_poster_name, last_poster_slug)
    ON misago_categories_category TO jobq_recount;
GRANT SELECT (id, username, slug, threads, posts, followers, following), UPDATE (threads, posts, followers, following)
    ON misago_users_user TO jobq_recount;
GRANT SELECT (from_user_id, to_user_id) ON misago_users_user_follows TO jobq_recount;
GRANT SELECT (thread_id) ON misago_threadevents_threadevent TO jobq_recount;
GRANT SELECT (thread_id) ON misago_polls_poll TO jobq_recount;

COMMIT;
