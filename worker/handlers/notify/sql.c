/* SPDX-License-Identifier: MIT */
/* sql: see sql.h. */
#include "worker/handlers/notify/sql.h"

extern const char notify_sql_reply_039[];
extern const char notify_sql_reply_040[];
extern const char notify_sql_private_039[];
extern const char notify_sql_private_040[];
extern const char notify_sql_watch_039[];
extern const char notify_sql_watch_040[];
extern const char notify_sql_dedupe_039[];
extern const char notify_sql_dedupe_040[];

#define COLUMNS_OF_BOTH                                                                            \
    "misago_notifications_notification.user_id,misago_notifications_notification.verb,"            \
    "misago_notifications_notification.is_read,misago_notifications_notification.actor_id,"        \
    "misago_notifications_notification.actor_name,misago_notifications_notification.category_id,"  \
    "misago_notifications_notification.thread_id,misago_notifications_notification.thread_title,"  \
    "misago_notifications_notification.post_id,misago_notifications_notification.created_at,"      \
    "misago_notifications_watchedthread.send_emails,misago_notifications_watchedthread.secret,"    \
    "misago_notifications_watchedthread.created_at,"                                               \
    "misago_notifications_watchedthread.category_id,"                                              \
    "misago_notifications_watchedthread.thread_id,misago_notifications_watchedthread.user_id,"     \
    "misago_users_ban.check_type,misago_users_ban.banned_value,misago_users_ban.expires_on,"       \
    "misago_users_ban.is_checked,misago_users_ban.registration_only,"                              \
    "misago_users_bancache.user_id,misago_users_bancache.ban_id,"                                  \
    "misago_users_bancache.cache_version,misago_users_bancache.expires_on,"                        \
    "misago_cache_cacheversion.cache,misago_cache_cacheversion.version,"                           \
    "misago_users_user.email,misago_users_user.is_active,misago_users_user.unread_notifications,"  \
    "misago_users_user.watch_new_private_threads_by_followed,"                                     \
    "misago_users_user.watch_new_private_threads_by_other_users,"                                  \
    "misago_users_user.notify_new_private_threads_by_followed,"                                    \
    "misago_users_user.notify_new_private_threads_by_other_users,"                                 \
    "misago_categories_category.level"

static const char columns_039[] =
    "{" COLUMNS_OF_BOTH ","
    "misago_notifications_watchedthread.read_at,"
    "misago_users_user.rank_id,misago_users_user_roles.user_id,misago_users_user_roles.role_id,"
    "misago_users_rank_roles.rank_id,misago_users_rank_roles.role_id,"
    "misago_acl_role.permissions,misago_categories_categoryrole.permissions,"
    "misago_categories_rolecategoryacl.category_id,misago_categories_rolecategoryacl.role_id,"
    "misago_categories_rolecategoryacl.category_role_id,"
    "misago_threads_threadparticipant.thread_id,misago_threads_threadparticipant.user_id}";

static const char columns_040[] =
    "{" COLUMNS_OF_BOTH ","
    "misago_notifications_watchedthread.read_time,misago_notifications_watchedthread.plugin_data,"
    "misago_users_user.groups_ids,misago_users_group.can_use_private_threads,"
    "misago_categories_category.show_started_only,misago_categories_category.delay_browse_check,"
    "misago_threads_thread.pinned,"
    "misago_permissions_categorygrouppermission.category_id,"
    "misago_permissions_categorygrouppermission.group_id,"
    "misago_permissions_categorygrouppermission.permission,"
    "misago_permissions_moderator.is_global,misago_permissions_moderator.categories,"
    "misago_permissions_moderator.group_id,misago_permissions_moderator.user_id,"
    "misago_privatethreads_privatethreadmember.thread_id,"
    "misago_privatethreads_privatethreadmember.user_id}";

const struct notify_sql *notify_sql_of(enum forum_version version)
{
    static const struct notify_sql of_039 = {
        .columns = columns_039,
        .reply_verb = "REPLIED",
        .private_verb = "INVITED",
        .reply = notify_sql_reply_039,
        .private_thread = notify_sql_private_039,
        .watch = notify_sql_watch_039,
        .dedupe = notify_sql_dedupe_039,
    };
    static const struct notify_sql of_040 = {
        .columns = columns_040,
        .reply_verb = "REPLIED_TO_THREAD",
        .private_verb = "ADDED_TO_PRIVATE_THREAD",
        .reply = notify_sql_reply_040,
        .private_thread = notify_sql_private_040,
        .watch = notify_sql_watch_040,
        .dedupe = notify_sql_dedupe_040,
    };

    return version == FORUM_039 ? &of_039 : &of_040;
}
