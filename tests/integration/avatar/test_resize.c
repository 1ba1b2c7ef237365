/* SPDX-License-Identifier: MIT */
/* What avatar.resize makes of an upload: pixels, files, rows. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/integration/avatar/studio.h"

#define TMP "avatars/0a/1b/upload/one.png"

static void put(struct studio *s, const char *name, const struct pixels *p, const char *suffix)
{
    size_t len;
    void *bytes = pixels_encode(p, suffix, &len);

    studio_put(s, name, bytes, len);
    free(bytes);
}

Test(avatar_resize, makes_ten_sizes_rows_and_json_of_an_upload)
{
    struct studio *s = studio_start();
    struct pixels p = pixels_pattern(700, 520, 0);

    put(s, TMP, &p, ".png");
    studio_user(s, 7, TMP, "");
    must_run(s, RESIZE, job_of(7, "tmp", -120, -12, 0.8), FRAME_V_DONE, NULL);
    must_be_whole(s, 7);
    must_look_like(s, 7, &p, (struct area){150, 15, 650, 515});
    char *row = pg_str(s->pg, "SELECT concat_ws('|', avatar_tmp, avatar_src, avatar_crop)"
                              " FROM misago_users_user WHERE id = 7");
    cr_assert_str_eq(row, "|" TMP "|{\"x\":-120.0,\"y\":-12.0,\"zoom\":0.8}");
    free(row);
    cr_assert_eq(studio_files(s), 11, "ten sizes and the source");
    pixels_free(&p);
    studio_stop(s);
}
