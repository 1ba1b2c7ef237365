/* SPDX-License-Identifier: MIT */
/* What avatar.resize makes of an upload: pixels, files, rows. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/integration/avatar/studio.h"

#define TMP "avatars/0a/1b/upload/one.png"
#define SRC "avatars/0a/1b/upload/src.png"

/* The user's avatar_tmp, avatar_src and avatar_crop. */
static void must_have(struct studio *s, int user, const char *columns)
{
    char *row = pg_str(s->pg,
                       "SELECT concat_ws('|', avatar_tmp, avatar_src, avatar_crop)"
                       " FROM misago_users_user WHERE id = %d",
                       user);

    cr_assert_str_eq(row, columns);
    free(row);
}

Test(avatar_resize, makes_ten_sizes_rows_and_json_of_an_upload)
{
    struct studio *s = studio_start();
    struct pixels p = pixels_pattern(700, 520, 0);

    studio_put_pixels(s, TMP, &p, ".png");
    studio_user(s, 7, TMP, "");
    must_run(s, RESIZE, job_of(7, "tmp", -120, -12, 0.8), FRAME_V_DONE, NULL);
    must_be_whole(s, 7);
    must_look_like(s, 7, &p, (struct area){150, 15, 650, 515});
    must_have(s, 7, "|" TMP "|{\"x\":-120.0,\"y\":-12.0,\"zoom\":0.8}");
    cr_assert_eq(studio_files(s), 11, "ten sizes and the source");
    cr_assert_eq(rig_drain(s->rig), 0, "the executor does not end in order");
    pixels_free(&p);
    studio_stop(s);
}

/* An upload as the user's own, of any form, and the avatar of the part that a crop wants. */
static void must_make(struct studio *s, int user, const void *bytes, size_t len,
                      const struct pixels *expected, const char *what)
{
    const char *name = fmt("avatars/00/%02d/upload/file.png", user);

    studio_put(s, name, bytes, len);
    studio_user(s, user, name, "");
    cr_log_info("%s", what);
    must_run(s, RESIZE, job_of(user, "tmp", -50, -10, 0.9), FRAME_V_DONE, NULL);
    must_be_whole(s, user);
    must_look_like(s, user, expected, (struct area){56, 11, 500, 456});
}

static const struct {
    const char *suffix;
    int alpha;
} forms[] = {
    {".png", 1},
    {".png[interlace=true]", 1},
    {".png[palette=true]", 1},
    {".webp[lossless=true]", 1},
    {".webp[Q=90]", 0},
    {".jpg[Q=95]", 0},
    {".jpg[Q=90,interlace=true]", 0},
    {".jpg[Q=90,subsample-mode=off]", 0},
};

Test(avatar_resize, takes_png_jpeg_and_webp_of_every_form)
{
    struct studio *s = studio_start();

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct pixels p = pixels_pattern(611, 523, forms[i].alpha);
        size_t len;
        void *bytes = pixels_encode(&p, forms[i].suffix, &len);
        struct pixels decoded = pixels_decode(bytes, len);
        must_make(s, 10 + (int)i, bytes, len, &decoded, forms[i].suffix);
        pixels_free(&decoded);
        pixels_free(&p);
        free(bytes);
    }
    studio_stop(s);
}

Test(avatar_resize, takes_grey_deep_and_printing_colours)
{
    struct studio *s = studio_start();

    for (int form = 0; form < PIXELS_FORMS; form++) {
        struct pixels expected;
        size_t len;
        void *bytes = pixels_encode_form(611, 523, form, &len, &expected);
        must_make(s, 10 + form, bytes, len, &expected, fmt("form %d", form));
        pixels_free(&expected);
        free(bytes);
    }
    studio_stop(s);
}

Test(avatar_resize, takes_a_source_of_the_right_size_as_it_is)
{
    struct studio *s = studio_start();
    struct pixels p = pixels_pattern(400, 400, 1);

    studio_put_pixels(s, TMP, &p, ".png");
    studio_user(s, 7, TMP, "");
    must_run(s, RESIZE, job_of(7, "tmp", 0, 0, 1), FRAME_V_DONE, NULL);
    must_be_whole(s, 7);
    struct pixels made = studio_avatar(s, 7, 400);
    cr_assert_eq(memcmp(made.rgba, p.rgba, 400 * 400 * 4), 0, "not to the bit");
    pixels_free(&made);
    pixels_free(&p);
    studio_stop(s);
}

Test(avatar_resize, replaces_an_avatar_and_its_source_and_removes_their_files_after_commit)
{
    struct studio *s = studio_start();
    struct pixels p = pixels_pattern(700, 520, 0);

    studio_put_pixels(s, TMP, &p, ".png");
    studio_put(s, SRC, "x", 1);
    studio_put(s, "avatars/ff/00/old/400.png", "x", 1);
    studio_put(s, "avatars/ff/00/old/200.png", "x", 1);
    studio_put(s, "elsewhere.png", "x", 1);
    studio_user(s, 7, TMP, SRC);
    pg_do(s->pg, "INSERT INTO misago_users_avatar (user_id, size, image) VALUES"
                 " (7, 400, 'avatars/ff/00/old/400.png'), (7, 200, 'avatars/ff/00/old/200.png'),"
                 " (7, 100, '../elsewhere.png'), (7, 100, 'elsewhere.png')");
    const struct said *said = must_run(s, RESIZE, job_of(7, "tmp", 0, 0, 0.8), FRAME_V_DONE, NULL);
    cr_assert_eq(said->children, 1);
    must_be_whole(s, 7);
    must_have(s, 7, "|" TMP "|{\"x\":0.0,\"y\":0.0,\"zoom\":0.8}");
    cr_assert(studio_has(s, SRC) && studio_has(s, "avatars/ff/00/old/400.png"),
              "removed before COMMIT");
    must_run_child(s, said);
    cr_assert_not(studio_has(s, SRC) || studio_has(s, "avatars/ff/00/old"));
    cr_assert(studio_has(s, "elsewhere.png"), "a file that is not the avatars' own");
    cr_assert_eq(studio_files(s), 11);

    /* Cut again from the source, which stays; a waiting upload stays too. */
    pg_do(s->pg, "UPDATE misago_users_user SET avatar_tmp = 'avatars/1/2/3.png' WHERE id = 7");
    said = must_run(s, RESIZE, job_of(7, "src", -300, -120, 1), FRAME_V_DONE, NULL);
    must_be_whole(s, 7);
    must_look_like(s, 7, &p, (struct area){300, 120, 700, 520});
    must_have(s, 7, "avatars/1/2/3.png|" TMP "|{\"x\":-300.0,\"y\":-120.0,\"zoom\":1.0}");
    must_run_child(s, said);
    must_be_whole(s, 7);
    cr_assert_eq(studio_files(s), 11, "the ten before are gone");

    /* The same once more writes the same files, and removes none. */
    said = must_run(s, RESIZE, job_of(7, "src", -300, -120, 1), FRAME_V_DONE, NULL);
    cr_assert_eq(said->children, 0);
    must_be_whole(s, 7);
    cr_assert_eq(studio_files(s), 11);
    pixels_free(&p);
    studio_stop(s);
}

/* Names of the chunks of a PNG, "IHDR IDAT …". */
static const char *chunks(const char *png, size_t len)
{
    char names[512] = "";
    size_t at = 8;

    while (at + 12 <= len) {
        const uint8_t *b = (const uint8_t *)png + at;
        size_t size = (size_t)b[0] << 24 | (size_t)b[1] << 16 | (size_t)b[2] << 8 | b[3];
        snprintf(names + strlen(names), sizeof(names) - strlen(names), "%.4s ", png + at + 4);
        at += 12 + size;
    }
    return fmt("%s", names);
}

Test(avatar_resize, strips_what_a_source_carries_besides_pixels_and_turns_nothing)
{
    struct studio *s = studio_start();
    struct pixels p = pixels_pattern(611, 523, 0);
    static const char *const kinds[] = {".jpg[Q=95]", ".png", ".webp[lossless=true]"};

    for (int i = 0; i < 3; i++) {
        size_t len;
        void *bytes = pixels_encode_tagged(&p, kinds[i], &len);
        struct pixels decoded = pixels_decode(bytes, len);
        cr_assert(pixels_are_tagged(bytes, len), "%s carries nothing", kinds[i]);
        must_make(s, 10 + i, bytes, len, &decoded, kinds[i]);
        for (size_t n = 0; n < SIZES; n++) {
            size_t size;
            char *png = studio_avatar_file(s, 10 + i, sizes[n], &size);
            cr_assert_not(pixels_are_tagged(png, size));
            cr_assert_null(memmem(png, size, "SECRET-PLACE", 12));
            const char *names = chunks(png, size);
            cr_assert(strncmp(names, "IHDR pHYs IDAT ", 15) == 0 && !strstr(names, "t") &&
                          !strstr(names, "iCCP") && !strstr(names, "eXIf") && strstr(names, "IEND"),
                      "%s", names);
            free(png);
        }
        pixels_free(&decoded);
        free(bytes);
    }
    pixels_free(&p);
    studio_stop(s);
}

/* ---- the fixture ---- */

static const struct {
    const char *file;
    const char *text; /* NULL: an avatar comes of it */
} images[] = {
    {"alpha.png", NULL},
    {"photo.jpg", NULL},
    {"wide.webp", NULL},
    {"gray16.png", NULL},
    {"palette.png", NULL},
    {"turned.jpg", NULL},
    {"alpha.webp", NULL},
    {"exact.png", NULL},
    {"small.png", "the source is "},
    {"cut.png", "the image is damaged"},
    {"text.png", "no PNG, JPEG or WebP"},
};

static const char *wrong_with(const char *file)
{
    for (size_t i = 0; i < sizeof(images) / sizeof(images[0]); i++) {
        if (strcmp(images[i].file, file) == 0) {
            return images[i].text;
        }
    }
    fail_test("the fixture has an image that this test does not know: %s", file);
}

static void must_make_all(const char *version)
{
    struct studio *s = studio_start_forum(version);
    long long made = 0;
    long long refused = 0;

    for (int user = 1; user <= 200; user++) {
        char *file = pg_str(s->pg,
                            "SELECT file FROM misago_users_user JOIN fixture_media ON path ="
                            " avatar_tmp WHERE id = %d AND NOT is_avatar_locked",
                            user);
        if (!file) {
            continue;
        }
        const char *text = wrong_with(file);
        const struct said *said = must_run(s, RESIZE, job_of(user, "tmp", 0, 0, 1),
                                           text ? FRAME_V_DEAD : FRAME_V_DONE, text);
        if (!text) {
            must_be_whole(s, user);
            if (said->children > 0) {
                must_run_child(s, said);
            }
        }
        *(text ? &refused : &made) += 1;
        free(file);
    }
    cr_assert(made >= 8 && refused >= 3, "%lld made, %lld refused", made, refused);
    /* every file that a row names is there, and no other but the uploads that were refused */
    cr_assert_eq((long long)studio_files(s),
                 pg_int(s->pg, "SELECT count(DISTINCT name) FROM ("
                               " SELECT image FROM misago_users_avatar UNION ALL"
                               " SELECT avatar_tmp FROM misago_users_user UNION ALL"
                               " SELECT avatar_src FROM misago_users_user) x (name)"
                               " WHERE name <> ''"));
    studio_stop(s);
}

Test(avatar_resize, makes_avatars_of_the_fixture)
{
    must_make_all("0.39");
    must_make_all("0.40");
}

/* ---- the forum's own avatars ---- */

static void must_be_the_forums(struct studio *s, int user, const char *file, int side, int width,
                               int height, const char *expected)
{
    const char *folder = getenv("JOBQ_FORUM_DATA");
    struct pixels p = pixels_read(fmt("%s/avatars/%s", folder, file));
    const char *name = fmt("avatars/00/%02d/upload/file.png", user);
    double zoom = 400.0 / side;

    cr_assert(p.width == width && p.height == height);
    studio_put_file(s, name, fmt("%s/avatars/%s", folder, file));
    studio_user(s, user, name, "");
    must_run(s, RESIZE, job_of(user, "tmp", 0, 0, zoom), FRAME_V_DONE, NULL);
    for (size_t i = 0; i < SIZES; i++) {
        struct pixels made = studio_avatar(s, user, sizes[i]);
        struct pixels theirs = pixels_read(fmt("%s/avatars/%s-%d.png", folder, expected, sizes[i]));
        int most = 0;
        for (int at = 0; at < sizes[i] * sizes[i] * 4; at++) {
            int difference = abs(made.rgba[at] - theirs.rgba[at]);
            most = difference > most ? difference : most;
        }
        cr_assert_leq(most, 3, "%s, size %d: %d", file, sizes[i], most);
        pixels_free(&made);
        pixels_free(&theirs);
    }
    pixels_free(&p);
}

/* The folder holds what a forum made of two sources; the repository does without. */
Test(avatar_resize, gives_the_pixels_that_the_forum_gives)
{
    if (!getenv("JOBQ_FORUM_DATA")) {
        cr_skip("JOBQ_FORUM_DATA names no folder with avatars/ of a forum");
    }
    struct studio *s = studio_start();
    must_be_the_forums(s, 1, "src.jpg", 700, 900, 700, "square700jpg");
    must_be_the_forums(s, 2, "src-alpha.png", 500, 500, 500, "alpha500");
    studio_stop(s);
}
