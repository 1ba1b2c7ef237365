/* SPDX-License-Identifier: MIT */
/* Names and slugs of authors on threads: users' and guests', in both versions. */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "tests/integration/recount/forum.h"

static const struct {
    const char *name;        /* of the guest who wrote the first post */
    const char *stored_name; /* on the thread before */
    const char *stored_slug;
    const char *slug_039;
    const char *slug_040;
} guests[] = {
    { "Passer By", "wrong", "wrong", "passer-by", "passer-by" },
    { "Passer By", "Passer By", "wrong", "passer-by", "passer-by" },
    { "J.R. Smith", "wrong", "wrong", "jr-smith", "j-r-smith" },
    { "a__b--c  d_", "wrong", "wrong", "a-b-c-d", "a-b-c-d" },
    { "--O''Neil, (Jr)!", "wrong", "wrong", "oneil-jr", "oneil-jr" },
    { "UPPER 42", "wrong", "wrong", "upper-42", "upper-42" },
    { "!!!", "wrong", "wrong", "", "" },
    /* outside ASCII and unchanged: the forum knows better */
    { "Zoë", "Zoë", "zoe-of-old", "zoe-of-old", "zoe-of-old" },
    /* changed, Latin: marks are dropped */
    { "Zoë Müller", "wrong", "wrong", "zoe-muller", "zoe-muller" },
    { "Łukasz ß Æther Þór", "wrong", "wrong", "lukasz-ss-aether-thor", "lukasz-ss-aether-thor" },
    { "Ångström.Ğ", "wrong", "wrong", "angstromg", "angstrom-g" },
    /* changed, another script: nobody can tell, the slug stays */
    { "Владимир", "wrong", "vladimir", "vladimir", "vladimir" },
    { "Ann 李雷", "wrong", "kept", "kept", "kept" },
};
#define GUESTS (sizeof(guests) / sizeof(guests[0]))

static void name_guests(const char *version)
{
    struct forum *f = forum_start(version);

    for (size_t i = 0; i < GUESTS; i++) {
        long long id = 100 + (long long)i;
        pg_do(f->pg,
              "UPDATE misago_threads_post SET poster_id = NULL, poster_name = '%s'"
              " WHERE thread_id = %lld",
              guests[i].name, id);
        pg_do(f->pg,
              "UPDATE misago_threads_thread SET starter_name = '%s', starter_slug = '%s',"
              " last_poster_name = '%s', last_poster_slug = '%s' WHERE id = %lld",
              guests[i].stored_name, guests[i].stored_slug, guests[i].stored_name,
              guests[i].stored_slug, id);
    }
    for (int run = 0; run < 2; run++) {
        cr_assert_eq(handler_run(f->handler, RECOUNT_ALL, "{\"kind\":\"threads\"}"), JOBQ_DONE);
        cr_assert(run == 0 ? counted(f->handler).changed > 0 : counted(f->handler).changed == 0);
        for (size_t i = 0; i < GUESTS; i++) {
            char *is =
                pg_str(f->pg,
                       "SELECT starter_name || '|' || starter_slug || '|' || last_poster_name"
                       " || '|' || last_poster_slug FROM misago_threads_thread"
                       " WHERE id = %zu AND starter_id IS NULL AND last_poster_id IS NULL",
                       100 + i);
            char *should =
                pg_str(f->pg, "SELECT '%s|%s|%s|%s'", guests[i].name,
                       f->is_040 ? guests[i].slug_040 : guests[i].slug_039, guests[i].name,
                       f->is_040 ? guests[i].slug_040 : guests[i].slug_039);
            cr_assert_str_eq(is, should);
            free(is);
            free(should);
        }
    }
    forum_stop(f);
}

Test(recount, makes_slugs_of_guests_as_0_39_does)
{
    name_guests(V039);
}

Test(recount, makes_slugs_of_guests_as_0_40_does)
{
    name_guests(V040);
}

static void rename_user(const char *version, const char *expected)
{
    struct forum *f = forum_start(version);
    long long id = pg_int(
        f->pg, "SELECT id FROM misago_threads_thread WHERE starter_id = 9 ORDER BY id LIMIT 1");

    cr_assert_gt(id, 0, "the fixture changed: choose another user");
    pg_do(
        f->pg,
        "UPDATE misago_users_user SET username = 'Renamed.One', slug = 'renamed-one' WHERE id = 9");
    cr_assert_eq(handler_run(f->handler, RECOUNT, fmt("{\"kind\":\"threads\",\"ids\":[%lld]}", id)),
                 JOBQ_DONE);
    cr_assert_eq(counted(f->handler).changed, 1);
    char *is = pg_str(
        f->pg,
        "SELECT starter_name || '|' || starter_slug FROM misago_threads_thread WHERE id = %lld",
        id);
    cr_assert_str_eq(is, expected);
    free(is);
    forum_stop(f);
}

Test(recount, keeps_the_posts_name_of_a_renamed_user_in_0_39)
{
    rename_user(V039, "Jonas9|renamed-one");
}

Test(recount, takes_the_current_name_of_a_renamed_user_in_0_40)
{
    rename_user(V040, "Renamed.One|renamed-one");
}
