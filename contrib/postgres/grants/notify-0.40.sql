-- SPDX-License-Identifier: MIT
-- What the module notify needs of the tables of a forum 0.40, column by column: psql -v ON_ERROR_STOP=1 -f
-- this file, as their owner, after roles.sql. Run again it changes nothing.
BEGIN;

-- Where the forum's tables are.
GRANT USAGE ON SCHEMA public TO jobq_notify;

GRANT SELECT (id, user_id, verb, is_read, actor_id, thread_id, post_id),
      INSERT (user_id, verb, is_read, actor_id, actor_name, category_id, thread_id, thread_title, post_id, created_at)
    ON misago_notifications_notification TO jobq_notify;
GRANT SELECT (id, user_id, thread_id, send_emails, read_time), UPDATE (send_emails, read_time), DELETE,
      INSERT (user_id, category_id, thread_id, send_emails, secret, created_at, read_time, plugin_data)
    ON misago_notifications_watchedthread TO jobq_notify;
GRANT SELECT (id, username, email, is_active, unread_notifications, watch_new_private_threads_by_followed,
              watch_new_private_threads_by_other_users, notify_new_private_threads_by_followed,
              notify_new_private_threads_by_other_users, groups_ids),
      UPDATE (unread_notifications)
    ON misago_users_user TO jobq_notify;
GRANT SELECT (id, from_user_id, to_user_id) ON misago_users_user_follows TO jobq_notify;
GRANT SELECT (user_id, ban_id, cache_version, expires_on) ON misago_users_bancache TO jobq_notify;
GRANT SELECT (cache, version) ON misago_cache_cacheversion TO jobq_notify;
GRANT SELECT (check_type, banned_value, expires_on, is_checked, registration_only) ON misago_users_ban TO jobq_notify;
GRANT SELECT (id, thread_id, category_id, poster_id, poster_name, posted_at, is_unapproved, is_hidden)
    ON misago_threads_post TO jobq_notify;
GRANT SELECT (id, title, category_id, starter_id, started_at, pinned, is_hidden, is_unapproved, first_post_id)
    ON misago_threads_thread TO jobq_notify;
GRANT SELECT (id, special_role, tree_id, level, lft, rght, show_started_only, delay_browse_check)
    ON misago_categories_category TO jobq_notify;
GRANT SELECT (id, can_use_private_threads) ON misago_users_group TO jobq_notify;
GRANT SELECT (category_id, group_id, permission) ON misago_permissions_categorygrouppermission TO jobq_notify;
GRANT SELECT (is_global, categories, group_id, user_id) ON misago_permissions_moderator TO jobq_notify;
GRANT SELECT (thread_id, user_id) ON misago_privatethreads_privatethreadmember TO jobq_notify;

-- The numbers of new rows, where they come from a sequence of its own.
DO $$
DECLARE
    sequence text;
BEGIN
    FOR sequence IN SELECT pg_catalog.pg_get_serial_sequence(t, 'id')
        FROM unnest(ARRAY['misago_notifications_notification', 'misago_notifications_watchedthread']) t
    LOOP
        IF sequence IS NOT NULL THEN
            EXECUTE 'GRANT USAGE ON SEQUENCE ' || sequence || ' TO jobq_notify';
        END IF;
    END LOOP;
END
$$;

COMMIT;
