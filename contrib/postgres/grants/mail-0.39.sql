-- SPDX-License-Identifier: MIT
-- What the module mail needs of the tables of a forum 0.39, column by column: psql -v ON_ERROR_STOP=1 -f
-- this file, as their owner, after roles.sql. Run again it changes nothing.
BEGIN;

-- Where the forum's tables are.
GRANT USAGE ON SCHEMA public TO jobq_mail;

GRANT SELECT (id, user_id, verb, is_read, actor_name, thread_id, post_id)
    ON misago_notifications_notification TO jobq_mail;
GRANT SELECT (id, user_id, thread_id, send_emails, secret) ON misago_notifications_watchedthread TO jobq_mail;
GRANT SELECT (id, username, email, is_active, rank_id, notify_new_private_threads_by_followed,
              notify_new_private_threads_by_other_users)
    ON misago_users_user TO jobq_mail;
GRANT SELECT (from_user_id, to_user_id) ON misago_users_user_follows TO jobq_mail;
GRANT SELECT (id, thread_id, poster_id, poster_name, is_hidden, is_unapproved) ON misago_threads_post TO jobq_mail;
GRANT SELECT (id, title, slug, category_id, is_hidden, is_unapproved) ON misago_threads_thread TO jobq_mail;
GRANT SELECT (id, special_role, tree_id) ON misago_categories_category TO jobq_mail;
GRANT SELECT (thread_id, user_id) ON misago_threads_threadparticipant TO jobq_mail;
-- Who moderates.
GRANT SELECT (user_id, role_id) ON misago_users_user_roles TO jobq_mail;
GRANT SELECT (rank_id, role_id) ON misago_users_rank_roles TO jobq_mail;
GRANT SELECT (id, permissions) ON misago_acl_role, misago_categories_categoryrole TO jobq_mail;
GRANT SELECT (role_id, category_id, category_role_id) ON misago_categories_rolecategoryacl TO jobq_mail;
-- By column, not by row: the forum keeps other settings in the same table.
GRANT SELECT (setting, dry_value) ON misago_conf_setting TO jobq_mail;

COMMIT;
