/* SPDX-License-Identifier: MIT */
/* account: see account.h. */
#include "worker/handlers/avatar/account.h"

#include <inttypes.h>
#include <libpq-fe.h>
#include <string.h>

#include "worker/handlers/common/text.h"

#define FILES_LOCK "(hashtextextended('jobq avatar files', 0))"

int account_read(PGconn *conn, int64_t user_id, bool lock, struct account *out,
                 struct pg_failure *why)
{
    static const char look[] =
        "SELECT is_avatar_locked, coalesce(avatar_tmp, ''), coalesce(avatar_src, ''),"
        " coalesce(avatar_crop, '') FROM misago_users_user WHERE id = $1::bigint";
    static const char keep[] =
        "SELECT is_avatar_locked, coalesce(avatar_tmp, ''), coalesce(avatar_src, ''),"
        " coalesce(avatar_crop, '') FROM misago_users_user WHERE id = $1::bigint"
        " FOR NO KEY UPDATE";
    char id[24];
    const char *params[] = {id};
    PGresult *rows;

    text_format(id, sizeof(id), "%" PRId64, user_id);
    rows = pg_query(conn, lock ? keep : look, 1, params, why);
    if (!rows) {
        return -1;
    }
    memset(out, 0, sizeof(*out));
    if (PQntuples(rows) > 0) {
        out->exists = true;
        out->is_locked = PQgetvalue(rows, 0, 0)[0] == 't';
        text_format(out->tmp, sizeof(out->tmp), "%s", PQgetvalue(rows, 0, 1));
        text_format(out->src, sizeof(out->src), "%s", PQgetvalue(rows, 0, 2));
        text_format(out->crop, sizeof(out->crop), "%s", PQgetvalue(rows, 0, 3));
    }
    PQclear(rows);
    return 0;
}

int account_share_files(PGconn *conn, struct pg_failure *why)
{
    return pg_run(conn, "SELECT pg_advisory_xact_lock_shared" FILES_LOCK, why) ? 0 : -1;
}

int account_own_files(PGconn *conn, struct pg_failure *why)
{
    return pg_run(conn, "SELECT pg_advisory_xact_lock" FILES_LOCK, why) ? 0 : -1;
}

static int run(PGconn *conn, const char *sql, int n, const char *const *params,
               struct pg_failure *why)
{
    PGresult *r = pg_query(conn, sql, n, params, why);

    PQclear(r);
    return r ? 0 : -1;
}

int account_replace(PGconn *conn, const struct account_avatar *avatar, PGresult **old,
                    struct pg_failure *why)
{
    char id[24];
    const char *rows[] = {id, avatar->sizes, avatar->images};
    const char *user[] = {id, avatar->avatars, avatar->crop, avatar->src};

    text_format(id, sizeof(id), "%" PRId64, avatar->user_id);
    *old =
        pg_query(conn, "DELETE FROM misago_users_avatar WHERE user_id = $1::bigint RETURNING image",
                 1, rows, why);
    if (!*old) {
        return -1;
    }
    if (run(conn,
            "INSERT INTO misago_users_avatar (user_id, size, image)"
            " SELECT $1::bigint, size, image FROM unnest($2::int[], $3::text[])"
            " WITH ORDINALITY AS x (size, image, at) ORDER BY at",
            3, rows, why) < 0 ||
        run(conn,
            "UPDATE misago_users_user SET avatars = $2::jsonb, avatar_crop = $3,"
            " avatar_src = CASE WHEN $4::text = '' THEN avatar_src ELSE $4::text END,"
            " avatar_tmp = CASE WHEN $4::text = '' THEN avatar_tmp ELSE '' END"
            " WHERE id = $1::bigint",
            4, user, why) < 0) {
        PQclear(*old);
        *old = NULL;
        return -1;
    }
    return 0;
}

int account_unused_of(PGconn *conn, int64_t user_id, const char *names, PGresult **out,
                      struct pg_failure *why)
{
    char id[24];
    const char *params[] = {id, names};

    text_format(id, sizeof(id), "%" PRId64, user_id);
    *out = pg_query(conn,
                    "SELECT name FROM unnest($2::text[]) AS x (name) EXCEPT ("
                    " SELECT image FROM misago_users_avatar WHERE user_id = $1::bigint"
                    " UNION ALL SELECT image FROM misago_users_avatargallery"
                    " UNION ALL SELECT avatar_tmp FROM misago_users_user WHERE id = $1::bigint"
                    " UNION ALL SELECT avatar_src FROM misago_users_user WHERE id = $1::bigint)",
                    2, params, why);
    return *out ? 0 : -1;
}

int account_unused(PGconn *conn, const char *names, PGresult **out, struct pg_failure *why)
{
    const char *params[] = {names};

    *out =
        pg_query(conn,
                 "SELECT name FROM unnest($1::text[]) AS x (name)"
                 " WHERE NOT EXISTS (SELECT FROM misago_users_avatar a WHERE a.image = name)"
                 " AND NOT EXISTS (SELECT FROM misago_users_avatargallery g WHERE g.image = name)"
                 " AND NOT EXISTS (SELECT FROM misago_users_user u WHERE u.avatar_tmp = name)"
                 " AND NOT EXISTS (SELECT FROM misago_users_user u WHERE u.avatar_src = name)",
                 1, params, why);
    return *out ? 0 : -1;
}
