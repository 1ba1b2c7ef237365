/* SPDX-License-Identifier: MIT */
/* studio: see studio.h. */
#include "tests/integration/avatar/studio.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/fixture.h"

const int sizes[SIZES] = {400, 200, 150, 128, 100, 64, 50, 40, 32, 20};

static bool is_up(struct rig *r)
{
    return r->pg == 1;
}

struct rig *studio_rig(struct studio *s, const char *const *env)
{
    const char *conninfo = fmt("%s user=jobq_worker", s->pg->conninfo);
    const char *config[] = {"postgres", conninfo, "forum.media_root", s->media, NULL};
    const char *modules[] = {lib_path("jobq/avatar.so"), NULL};
    struct rig *r = rig_start(config, modules, env);

    cr_assert(r->ready, "%s", r->failed);
    rig_wait(r, is_up);
    return r;
}

void studio_restart(struct studio *s, const char *const *env)
{
    rig_free(s->rig);
    s->rig = studio_rig(s, env);
}

struct studio *studio_start(void)
{
    return studio_start_forum(NULL);
}

struct studio *studio_start_forum(const char *version)
{
    static int started;
    struct studio *s = calloc(1, sizeof(*s));

    if (!s) {
        fail_test("out of memory");
    }
    snprintf(s->media, sizeof(s->media), "%s/media%d", tmp_dir(), started++);
    mkdir(s->media, 0755);
    s->pg = postgres_start(false);
    /* The forum first: the server's own user is named like our schema, where it would end up. */
    if (version) {
        /* few posts, many uploads, and their files */
        fixture_load(
            s->pg,
            &(struct fixture){
                .version = version, .threads = 20, .posts = 40, .users = 200, .media = s->media});
    } else {
        pg_load(s->pg, source_path("tests/integration/avatar/tables.sql"));
    }
    pg_load(s->pg, source_path("contrib/postgres/schema.sql"));
    pg_load(s->pg, source_path("contrib/postgres/roles.sql"));
    pg_load(s->pg, source_path("contrib/postgres/grants/avatar.sql"));
    s->rig = studio_rig(s, NULL);
    return s;
}

void studio_stop(struct studio *s)
{
    rig_free(s->rig);
    postgres_stop(s->pg);
    free(s);
}

void studio_user(struct studio *s, int id, const char *tmp, const char *src)
{
    pg_do(s->pg,
          "INSERT INTO misago_users_user (id, username, avatar_tmp, avatar_src, avatar_crop)"
          " VALUES (%d, 'user%d', '%s', '%s', '')",
          id, id, tmp, src);
}

/* ---- files ---- */

static const char *path_of(struct studio *s, const char *name)
{
    return fmt("%s/%s", s->media, name);
}

void studio_put(struct studio *s, const char *name, const void *bytes, size_t len)
{
    char path[1024];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", s->media, name);
    for (char *c = path + strlen(s->media) + 1; (c = strchr(c, '/')) != NULL; c++) {
        *c = '\0';
        if (mkdir(path, 0755) != 0 && errno != EEXIST) {
            fail_test("mkdir %s: %s", path, strerror(errno));
        }
        *c = '/';
    }
    f = fopen(path, "wbe");
    if (!f || fwrite(bytes, 1, len, f) != len || fclose(f) != 0) {
        fail_test("%s: %s", path, strerror(errno));
    }
}

void studio_put_pixels(struct studio *s, const char *name, const struct pixels *p,
                       const char *suffix)
{
    size_t len;
    void *bytes = pixels_encode(p, suffix, &len);

    studio_put(s, name, bytes, len);
    free(bytes);
}

static char *load(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rbe");
    struct stat st;
    char *bytes;

    if (!f || fstat(fileno(f), &st) != 0) {
        fail_test("%s: %s", path, strerror(errno));
    }
    *len = (size_t)st.st_size;
    bytes = malloc(*len + 1);
    if (!bytes || fread(bytes, 1, *len, f) != *len) {
        fail_test("%s cannot be read", path);
    }
    fclose(f);
    return bytes;
}

void studio_put_file(struct studio *s, const char *name, const char *path)
{
    size_t len;
    char *bytes = load(path, &len);

    studio_put(s, name, bytes, len);
    free(bytes);
}

bool studio_has(struct studio *s, const char *name)
{
    return access(path_of(s, name), F_OK) == 0;
}

static size_t counted;

static int count_file(const char *path, const struct stat *st, int flag, struct FTW *where)
{
    (void)path;
    (void)st;
    (void)where;
    counted += flag == FTW_F;
    return 0;
}

size_t studio_files(struct studio *s)
{
    counted = 0;
    nftw(path_of(s, "avatars"), count_file, 16, FTW_PHYS);
    return counted;
}

void studio_age(struct studio *s, const char *name, long long seconds)
{
    struct timespec times[2];

    clock_gettime(CLOCK_REALTIME, &times[0]);
    times[0].tv_sec -= (time_t)seconds;
    times[1] = times[0];
    if (utimensat(AT_FDCWD, path_of(s, name), times, 0) != 0) {
        fail_test("%s: %s", name, strerror(errno));
    }
}

/* ---- jobs ---- */

const char *job_of(int user, const char *source, double x, double y, double zoom)
{
    return fmt(
        "{\"user_id\":%d,\"source\":\"%s\",\"crop\":{\"x\":%.17g,\"y\":%.17g,\"zoom\":%.17g}}",
        user, source, x, y, zoom);
}

const struct said *must_run(struct studio *s, const char *type, const char *payload,
                            enum frame_verdict verdict, const char *text)
{
    const struct said *said = rig_run(s->rig, type, payload);

    if (s->rig->ended) {
        fail_test("%s %s: the executor ended", type, payload);
    }
    if (said->verdict != verdict || (text && !strstr(said->text, text))) {
        fail_test("%s %s: verdict %d, text: %s; log: %s", type, payload, (int)said->verdict,
                  said->text, said->log);
    }
    return said;
}

void must_run_child(struct studio *s, const struct said *said)
{
    char copy[1024];
    char *payload;

    cr_assert_geq(said->children, 1, "no child was enqueued");
    snprintf(copy, sizeof(copy), "%s", said->last_child);
    payload = strchr(strchr(copy, ' ') + 1, ' ') + 1;
    *strchr(copy, ' ') = '\0';
    must_run(s, copy, payload, FRAME_V_DONE, NULL);
}

/* ---- judging ---- */

static const char *image_of(struct studio *s, int user, int size)
{
    char *image = pg_str(s->pg,
                         "SELECT image FROM misago_users_avatar WHERE user_id = %d AND"
                         " size = %d",
                         user, size);
    const char *kept = fmt("%s", image ? image : "");

    free(image);
    return kept;
}

struct pixels studio_avatar(struct studio *s, int user, int size)
{
    return pixels_read(path_of(s, image_of(s, user, size)));
}

char *studio_avatar_file(struct studio *s, int user, int size, size_t *len)
{
    return load(path_of(s, image_of(s, user, size)), len);
}

static bool is_shape(const char *image)
{
    size_t at = strlen("avatars/");

    if (strncmp(image, "avatars/", at) != 0 || strlen(image) != at + 6 + 33 + 36) {
        return false;
    }
    return image[at + 2] == '/' && image[at + 5] == '/' && image[at + 38] == '/' &&
           strcmp(image + strlen(image) - 4, ".png") == 0 &&
           strspn(image + at, "0123456789abcdef/") == 6 + 33 + 32;
}

void must_be_whole(struct studio *s, int user)
{
    char *text = pg_str(s->pg, "SELECT avatars FROM misago_users_user WHERE id = %d", user);
    json_t *avatars = text ? json_loads(text, 0, NULL) : NULL;

    cr_assert_eq(json_array_size(avatars), SIZES, "avatars: %s", text ? text : "NULL");
    cr_assert_eq(pg_int(s->pg, "SELECT count(*) FROM misago_users_avatar WHERE user_id = %d", user),
                 SIZES);
    for (size_t i = 0; i < SIZES; i++) {
        const json_t *one = json_array_get(avatars, i);
        const char *image = image_of(s, user, sizes[i]);
        cr_assert_eq(json_object_size(one), 2);
        cr_assert_eq(json_integer_value(json_object_get(one, "size")), sizes[i]);
        cr_assert_str_eq(json_string_value(json_object_get(one, "url")), fmt("/media/%s", image));
        cr_assert(is_shape(image), "%s", image);
        struct pixels p = pixels_read(path_of(s, image));
        cr_assert(p.width == sizes[i] && p.height == sizes[i], "%s: %dx%d", image, p.width,
                  p.height);
        pixels_free(&p);
    }
    json_decref(avatars);
    free(text);
}

void must_look_like(struct studio *s, int user, const struct pixels *source, struct area area)
{
    struct pixels from = *source;

    for (size_t i = 0; i < SIZES; i++) {
        struct pixels expected = reference_square(&from, area, sizes[i]);
        struct pixels made = studio_avatar(s, user, sizes[i]);
        int difference = pixels_difference(&made, &expected);
        cr_assert(difference >= 0 && difference <= 3, "size %d differs by %d", sizes[i],
                  difference);
        pixels_free(&expected);
        if (i > 0) {
            pixels_free(&from);
        }
        from = made;
        area = (struct area){0, 0, sizes[i], sizes[i]};
    }
    pixels_free(&from);
}
