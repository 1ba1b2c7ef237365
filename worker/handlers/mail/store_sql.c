/* SPDX-License-Identifier: MIT */
/*
 * store_sql: see store_sql.h.
 *
 * The lock is of the transaction and named by post or thread and user, so that two jobs for the same
 * mail exclude each other even when they are not the same job. It is taken by a statement of its
 * own: what is read afterwards is what the one before us left. The transaction idles while a mail
 * server is talked to, which has a limit of its own.
 */
#include "worker/handlers/mail/store_sql.h"

/* clang-format off: columns of a statement stay where they are */

#define WHILE_WE_IDLE                                                                              \
    "pg_catalog.set_config('idle_in_transaction_session_timeout', '0', true)"

/* The watch that the job names; where a merge of threads left its user another one, that one. */
#define WATCH                                                                                      \
    "(SELECT w.id FROM misago_notifications_watchedthread w WHERE w.id = $2::bigint"               \
    " OR w.user_id = $3::bigint AND w.thread_id ="                                                 \
    "   (SELECT p.thread_id FROM misago_threads_post p WHERE p.id = $1::bigint)"                   \
    " ORDER BY w.id <> $2::bigint, NOT w.send_emails, w.id LIMIT 1)"

#define LOCK_REPLY                                                                                 \
    "SELECT pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended("                     \
    "'jobq mail.reply ' || $1::text || ' ' || w.user_id, 0)), " WHILE_WE_IDLE                      \
    " FROM misago_notifications_watchedthread w WHERE w.id = " WATCH

#define LOCK_PRIVATE                                                                               \
    "SELECT pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended("                     \
    "'jobq mail.private_thread ' || $1::text || ' ' || $2::text, 0)), " WHILE_WE_IDLE

#define SETTING(name) "(SELECT s.dry_value FROM misago_conf_setting s WHERE s.setting = '" name "')"

#define SETTINGS SETTING("forum_address") ", " SETTING("forum_name") ", " SETTING("email_footer")

/* The notification is what the mail tells about: once it is read there is nothing left to tell. */
#define NOTIFICATION(of)                                                                           \
    " LEFT JOIN LATERAL (SELECT id, is_read, actor_name, post_id"                                  \
    "   FROM misago_notifications_notification"                                                    \
    "   WHERE user_id = u.id AND " of " ORDER BY is_read, id DESC LIMIT 1) n ON true"

#define MEMBER(table)                                                                              \
    "EXISTS (SELECT FROM " table " m WHERE m.thread_id = t.id AND m.user_id = u.id)"

/* Who moderates a thread also reads what is hidden or waits for approval in it. */
#define MODERATES_039                                                                              \
    "EXISTS (SELECT FROM"                                                                          \
    "   (SELECT a.role_id FROM misago_users_user_roles a WHERE a.user_id = u.id"                   \
    "    UNION ALL"                                                                                \
    "    SELECT a.role_id FROM misago_users_rank_roles a WHERE a.rank_id = u.rank_id) r"           \
    " WHERE CASE WHEN k.is_private THEN EXISTS (SELECT FROM misago_acl_role l"                     \
    "   WHERE l.id = r.role_id AND l.permissions #>"                                               \
    "   '{misago.threads.permissions.privatethreads,can_moderate_private_threads}'"                \
    "   NOT IN ('0', 'false', 'null'))"                                                            \
    " ELSE EXISTS (SELECT FROM misago_categories_rolecategoryacl l"                                \
    "   JOIN misago_categories_categoryrole g ON g.id = l.category_role_id"                        \
    "   WHERE l.role_id = r.role_id AND l.category_id = t.category_id AND g.permissions #>"        \
    "   '{misago.threads.permissions.threads,can_approve_content}'"                                \
    "   NOT IN ('0', 'false', 'null')) END)"

#define MODERATES_040                                                                              \
    "(u.groups_ids && '{1,2}' OR EXISTS (SELECT FROM misago_permissions_moderator m"               \
    "   WHERE (m.user_id = u.id OR m.group_id = ANY (u.groups_ids)) AND (m.is_global"              \
    "   OR CASE WHEN k.is_private THEN m.private_threads ELSE t.category_id = ANY (m.categories)"  \
    "   END)))"

/* Planning takes longer than the statement itself: by OFFSET 0 what is named k is planned once, not
   at each place that names it. */
#define LOAD_REPLY(verb, members, moderates)                                                       \
    "SELECT CASE"                                                                                  \
    " WHEN NOT u.is_active THEN 'the user is not active'"                                          \
    " WHEN NOT w.send_emails THEN 'the user wants no mails about this thread'"                     \
    " WHEN p.id IS NULL THEN 'the post is gone'"                                                   \
    " WHEN p.thread_id <> w.thread_id THEN 'the post is in another thread now'"                    \
    " WHEN n.id IS NULL THEN 'the notification is gone'"                                           \
    " WHEN n.is_read THEN 'the notification was read'"                                             \
    " WHEN NOT (p.is_hidden OR t.is_hidden OR p.is_unapproved OR t.is_unapproved"                  \
    "   OR k.is_private AND NOT " MEMBER(members) ") THEN NULL"                                    \
    " WHEN " moderates " THEN NULL"                                                                \
    " WHEN p.is_hidden OR t.is_hidden THEN 'the post is hidden'"                                   \
    " WHEN p.is_unapproved OR t.is_unapproved THEN 'the post waits for approval'"                  \
    " ELSE 'the user is no member of the private thread' END,"                                     \
    " n.id, u.id, u.username, u.email, coalesce(a.username, p.poster_name), p.id, t.id, t.title,"  \
    " t.slug, k.is_private, w.id, w.secret, " SETTINGS                                             \
    " FROM misago_notifications_watchedthread w"                                                   \
    " JOIN misago_users_user u ON u.id = w.user_id"                                                \
    " LEFT JOIN misago_threads_post p ON p.id = $1::bigint"                                        \
    " LEFT JOIN misago_threads_thread t ON t.id = p.thread_id"                                     \
    " LEFT JOIN misago_users_user a ON a.id = p.poster_id"                                         \
    " CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM misago_categories_category c"                 \
    "   JOIN misago_categories_category root ON root.tree_id = c.tree_id"                          \
    "   WHERE c.id = t.category_id AND root.special_role = 'private_threads') AS is_private"       \
    "   OFFSET 0) k"                                                                               \
    NOTIFICATION("post_id = $1::bigint AND verb = '" verb "'")                                     \
    " WHERE w.id = " WATCH

#define LOAD_PRIVATE(verb, members)                                                                \
    "SELECT CASE"                                                                                  \
    " WHEN NOT u.is_active THEN 'the user is not active'"                                          \
    " WHEN t.id IS NULL THEN 'the thread is gone'"                                                 \
    " WHEN t.is_hidden THEN 'the thread is hidden'"                                                \
    " WHEN NOT " MEMBER(members) " THEN 'the user is no member of the private thread'"             \
    " WHEN CASE WHEN EXISTS (SELECT FROM misago_users_user_follows f"                              \
    "     WHERE f.from_user_id = u.id AND f.to_user_id = $3::bigint)"                              \
    "   THEN u.notify_new_private_threads_by_followed"                                             \
    "   ELSE u.notify_new_private_threads_by_other_users END <> 2"                                 \
    "   THEN 'the user wants no mails about new private threads'"                                  \
    " WHEN n.id IS NULL THEN 'the notification is gone'"                                           \
    " WHEN n.is_read THEN 'the notification was read' END,"                                        \
    " n.id, u.id, u.username, u.email, coalesce(a.username, n.actor_name), n.post_id, t.id,"       \
    " t.title, t.slug, true, w.id, w.secret, " SETTINGS                                            \
    " FROM misago_users_user u"                                                                    \
    " LEFT JOIN misago_threads_thread t ON t.id = $1::bigint"                                      \
    " LEFT JOIN misago_users_user a ON a.id = $3::bigint"                                          \
    " LEFT JOIN LATERAL (SELECT id, secret FROM misago_notifications_watchedthread"                \
    "   WHERE user_id = u.id AND thread_id = t.id ORDER BY send_emails DESC, id DESC LIMIT 1) w"   \
    "   ON true"                                                                                   \
    NOTIFICATION("thread_id = $1::bigint AND verb = '" verb "'")                                   \
    " WHERE u.id = $2::bigint"

/* clang-format on */

const struct store_sql store_sql_039 = {
    .lock_reply = LOCK_REPLY,
    .lock_private = LOCK_PRIVATE,
    .load_reply = LOAD_REPLY("REPLIED", "misago_threads_threadparticipant", MODERATES_039),
    .load_private = LOAD_PRIVATE("INVITED", "misago_threads_threadparticipant"),
};

const struct store_sql store_sql_040 = {
    .lock_reply = LOCK_REPLY,
    .lock_private = LOCK_PRIVATE,
    .load_reply =
        LOAD_REPLY("REPLIED_TO_THREAD", "misago_privatethreads_privatethreadmember", MODERATES_040),
    .load_private =
        LOAD_PRIVATE("ADDED_TO_PRIVATE_THREAD", "misago_privatethreads_privatethreadmember"),
};
