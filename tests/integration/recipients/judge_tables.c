/* SPDX-License-Identifier: MIT */
/* judge_tables: see judge_tables.h. */
#include "tests/integration/recipients/judge_tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A row being taken apart, column after column. */
struct row {
    const PGresult *r;
    int nr, column;
};

static const char *next_text(struct row *row)
{
    return PQgetvalue(row->r, row->nr, row->column++);
}

static long long next_int(struct row *row)
{
    return strtoll(next_text(row), NULL, 10);
}

static bool next_bool(struct row *row)
{
    return next_text(row)[0] == 't';
}

static PGresult *read_rows(struct tables *t, PGconn *conn, const char *sql)
{
    PGresult *r = PQexec(conn, sql);

    if (PQresultStatus(r) != PGRES_TUPLES_OK ||
        t->kept_count == sizeof(t->kept) / sizeof(t->kept[0])) {
        fprintf(stderr, "judge: %s: %s\n", sql, PQerrorMessage(conn));
        abort();
    }
    t->kept[t->kept_count++] = r;
    return r;
}

static void *rows_for(const PGresult *r, size_t size, size_t *count)
{
    void *rows = calloc((size_t)PQntuples(r) + 1, size);

    if (!rows) {
        abort();
    }
    *count = (size_t)PQntuples(r);
    return rows;
}

static void take_category(struct category *c, struct row *row)
{
    c->id = next_int(row);
    c->parent_id = next_int(row);
    c->level = (int)next_int(row);
    c->is_private_root = strcmp(next_text(row), "private_threads") == 0;
    c->shows_started_only = next_bool(row);
    c->delays_browse_check = next_bool(row);
}

static void take_thread(struct thread *t, struct row *row)
{
    t->id = next_int(row);
    t->starter_id = next_int(row);
    t->is_hidden = next_bool(row);
    t->is_unapproved = next_bool(row);
    t->is_pinned = next_int(row) != 0;
    t->is_reported = next_bool(row);
}

static void take_post(struct post *p, struct row *row)
{
    p->id = next_int(row);
    p->thread_id = next_int(row);
    p->category_id = next_int(row);
    p->poster_id = next_int(row);
    p->posted_at = next_int(row);
    p->is_hidden = next_bool(row);
    p->is_unapproved = next_bool(row);
    p->is_event = next_bool(row);
}

static void take_watch(struct watch *w, struct row *row)
{
    w->thread_id = next_int(row);
    w->user_id = next_int(row);
    w->read_at = next_int(row);
    w->send_emails = next_bool(row);
}

static void take_user(struct user *u, struct row *row)
{
    u->id = next_int(row);
    u->name = next_text(row);
    u->email = next_text(row);
    u->groups = next_text(row);
    u->rank_id = next_int(row);
    u->is_active = next_bool(row);
}

static void take_ban(struct ban *b, struct row *row)
{
    b->type = (int)next_int(row);
    b->value = next_text(row);
    b->is_over = next_bool(row);
    b->is_for_registration = next_bool(row);
}

static void take_bancache(struct bancache *b, struct row *row)
{
    b->user_id = next_int(row);
    b->is_banned = next_bool(row);
    b->is_over = next_bool(row);
    b->version = next_text(row);
}

static void take_pair(struct pair *p, struct row *row)
{
    p->of = next_int(row);
    p->what = next_int(row);
}

static void take_role(struct role *r, struct row *row)
{
    r->id = next_int(row);
    r->json = next_text(row);
}

static void take_acl(struct acl *a, struct row *row)
{
    a->category_id = next_int(row);
    a->role_id = next_int(row);
    a->category_role_id = next_int(row);
}

static void take_group(struct group *g, struct row *row)
{
    g->id = next_int(row);
    g->private_threads = (int)next_int(row);
}

static void take_permission(struct permission *p, struct row *row)
{
    p->category_id = next_int(row);
    p->group_id = next_int(row);
    p->name = next_text(row);
}

static void take_moderator(struct moderator *m, struct row *row)
{
    m->is_global = next_bool(row);
    m->categories = next_text(row);
    m->group_id = next_int(row);
    m->user_id = next_int(row);
}

#define READER(type, name)                                                                         \
    static void read_##name(struct tables *t, PGconn *conn, const char *sql)                       \
    {                                                                                              \
        PGresult *r = read_rows(t, conn, sql);                                                     \
                                                                                                   \
        t->name = rows_for(r, sizeof(*t->name), &t->name##_count);                                 \
        for (int i = 0; i < PQntuples(r); i++) {                                                   \
            struct row row = {r, i, 0};                                                            \
            take_##type(&t->name[i], &row);                                                        \
        }                                                                                          \
    }
TABLES(READER)

#define MICROSECONDS(column) "(extract(epoch FROM " column ") * 1000000)::bigint"

static void read_039(struct tables *t, PGconn *conn)
{
    read_categories(t, conn,
                    "SELECT id, parent_id, level, special_role, false, false"
                    " FROM misago_categories_category ORDER BY id");
    read_threads(t, conn,
                 "SELECT id, starter_id, is_hidden, is_unapproved, weight, has_reported_posts"
                 " FROM misago_threads_thread ORDER BY id");
    read_posts(t, conn,
               "SELECT id, thread_id, category_id, poster_id, " MICROSECONDS(
                   "posted_on") ", is_hidden, is_unapproved, is_event"
                                " FROM misago_threads_post ORDER BY thread_id, id");
    read_watches(
        t, conn,
        "SELECT thread_id, user_id, " MICROSECONDS(
            "read_at") ", send_emails"
                       " FROM misago_notifications_watchedthread ORDER BY thread_id, user_id");
    read_users(t, conn,
               "SELECT id, username, email, NULL, rank_id, is_active"
               " FROM misago_users_user ORDER BY id");
    read_members(t, conn,
                 "SELECT thread_id, user_id FROM misago_threads_threadparticipant"
                 " ORDER BY thread_id");
    read_user_roles(t, conn, "SELECT user_id, role_id FROM misago_users_user_roles");
    read_rank_roles(t, conn, "SELECT rank_id, role_id FROM misago_users_rank_roles");
    read_roles(t, conn, "SELECT id, permissions FROM misago_acl_role ORDER BY id");
    read_category_roles(t, conn,
                        "SELECT id, permissions FROM misago_categories_categoryrole ORDER BY id");
    read_acls(t, conn,
              "SELECT category_id, role_id, category_role_id"
              " FROM misago_categories_rolecategoryacl");
}

static void read_040(struct tables *t, PGconn *conn)
{
    read_categories(t, conn,
                    "SELECT id, parent_id, level, special_role, show_started_only,"
                    " delay_browse_check FROM misago_categories_category ORDER BY id");
    read_threads(t, conn,
                 "SELECT id, starter_id, is_hidden, is_unapproved, pinned, false"
                 " FROM misago_threads_thread ORDER BY id");
    read_posts(t, conn,
               "SELECT id, thread_id, category_id, poster_id, " MICROSECONDS(
                   "posted_at") ", is_hidden, is_unapproved, false"
                                " FROM misago_threads_post ORDER BY thread_id, id");
    read_watches(
        t, conn,
        "SELECT thread_id, user_id, " MICROSECONDS(
            "read_time") ", send_emails"
                         " FROM misago_notifications_watchedthread ORDER BY thread_id, user_id");
    read_users(t, conn,
               "SELECT id, username, email, groups_ids, rank_id, is_active"
               " FROM misago_users_user ORDER BY id");
    read_members(t, conn,
                 "SELECT thread_id, user_id FROM misago_privatethreads_privatethreadmember"
                 " ORDER BY thread_id");
    read_groups(t, conn, "SELECT id, can_use_private_threads FROM misago_users_group");
    read_permissions(t, conn,
                     "SELECT category_id, group_id, permission"
                     " FROM misago_permissions_categorygrouppermission");
    read_moderators(t, conn,
                    "SELECT is_global, categories, group_id, user_id"
                    " FROM misago_permissions_moderator");
}

void tables_read(struct tables *t, PGconn *conn)
{
    PGresult *r;

    *t = (struct tables){.ban_version = ""};
    bool begins = PQtransactionStatus(conn) == PQTRANS_IDLE;
    if (begins) {
        PQclear(PQexec(conn, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"));
    }
    r = read_rows(t, conn,
                  "SELECT 1 FROM information_schema.columns WHERE table_schema = 'public'"
                  " AND table_name = 'misago_threads_thread' AND column_name = 'last_posted_at'");
    t->is_040 = PQntuples(r) > 0;
    r = read_rows(t, conn, "SELECT version FROM misago_cache_cacheversion WHERE cache = 'bans'");
    if (PQntuples(r) > 0) {
        t->ban_version = PQgetvalue(r, 0, 0);
    }
    if (t->is_040) {
        read_040(t, conn);
    } else {
        read_039(t, conn);
    }
    read_bans(t, conn,
              "SELECT check_type, banned_value, coalesce(expires_on < now(), false),"
              " registration_only FROM misago_users_ban");
    read_bancaches(t, conn,
                   "SELECT user_id, ban_id IS NOT NULL, coalesce(expires_on < now(), false),"
                   " cache_version FROM misago_users_bancache ORDER BY user_id");
    if (begins) {
        PQclear(PQexec(conn, "COMMIT"));
    }
}

#define FREE_TABLE(type, name) free(t->name);

void tables_free(struct tables *t)
{
    TABLES(FREE_TABLE)
    for (size_t i = 0; i < t->kept_count; i++) {
        PQclear(t->kept[i]);
    }
}

/* Every row's first member is its id. */
static int compare_id(const void *key, const void *row)
{
    long long a = *(const long long *)key;
    long long b = *(const long long *)row;

    return (a > b) - (a < b);
}

const struct category *tables_category(const struct tables *t, long long id)
{
    return bsearch(&id, t->categories, t->categories_count, sizeof(*t->categories), compare_id);
}

const struct thread *tables_thread(const struct tables *t, long long id)
{
    return bsearch(&id, t->threads, t->threads_count, sizeof(*t->threads), compare_id);
}

const struct user *tables_user(const struct tables *t, long long id)
{
    return bsearch(&id, t->users, t->users_count, sizeof(*t->users), compare_id);
}

bool list_has(const char *list, long long id)
{
    while (*list == '{' || *list == ',') {
        char *end;

        if (strtoll(list + 1, &end, 10) == id && end > list + 1) {
            return true;
        }
        list = end;
    }
    return false;
}
