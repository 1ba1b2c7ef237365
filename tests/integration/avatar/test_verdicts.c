/* SPDX-License-Identifier: MIT */
/* How jobs end that make no avatar: each with a text that tells what to mend, and nothing left
   behind. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "tests/integration/avatar/studio.h"

#define TMP "avatars/0a/1b/upload/one.png"

static const struct {
    const char *type;
    const char *payload;
    const char *text;
} bad[] = {
    {RESIZE, "{}", "user_id: must be a whole number of at least 1"},
    {RESIZE, "{\"user_id\":0,\"source\":\"tmp\",\"crop\":{\"x\":0,\"y\":0,\"zoom\":1}}",
     "user_id: "},
    {RESIZE, "{\"user_id\":\"7\",\"source\":\"tmp\",\"crop\":{\"x\":0,\"y\":0,\"zoom\":1}}",
     "user_id: "},
    {RESIZE, "{\"user_id\":7,\"source\":\"url\",\"crop\":{\"x\":0,\"y\":0,\"zoom\":1}}",
     "source: must be one of tmp, src"},
    {RESIZE, "{\"user_id\":7,\"source\":\"tmp\"}", "crop: must be an object"},
    {RESIZE, "{\"user_id\":7,\"source\":\"tmp\",\"crop\":[0,0,1]}", "crop: must be an object"},
    {RESIZE, "{\"user_id\":7,\"source\":\"tmp\",\"crop\":{\"x\":0,\"zoom\":1}}",
     "crop.y: must be a number"},
    {RESIZE, "{\"user_id\":7,\"source\":\"tmp\",\"crop\":{\"x\":0,\"y\":\"0\",\"zoom\":1}}",
     "crop.y: must be a number"},
    {RESIZE, "{\"user_id\":7,\"source\":\"tmp\",\"crop\":{\"x\":0,\"y\":0,\"zoom\":1,\"w\":2}}",
     "crop: has a field that is none of its own"},
    {RESIZE, "{\"user_id\":7,\"source\":\"tmp\",\"crop\":{\"x\":1,\"y\":0,\"zoom\":1}}",
     "crop.x: must be 0 or negative"},
    {RESIZE, "{\"user_id\":7,\"source\":\"tmp\",\"crop\":{\"x\":0,\"y\":0,\"zoom\":1.5}}",
     "crop.zoom: must be above 0 and at most 1"},
    {RESIZE, "{\"user_id\":7,\"source\":\"tmp\",\"crop\":{\"x\":0,\"y\":0,\"zoom\":1},\"p\":1}",
     "p: this type has no such field"},
    {REMOVE, "{\"paths\":[\"avatars/a\"]}", "user_id: "},
    {REMOVE, "{\"user_id\":7,\"paths\":[]}", "paths: must be an array of 1 to 1000 texts"},
    {REMOVE, "{\"user_id\":7,\"paths\":\"avatars/a\"}", "paths: must be an array"},
    {REMOVE, "{\"user_id\":7,\"paths\":[\"\"]}", "paths[0]: must be a text of 1 to 255 bytes"},
    {REMOVE, "{\"user_id\":7,\"paths\":[\"avatars/a\",5]}", "paths[1]: must be a text"},
    {REMOVE, "{\"user_id\":7,\"paths\":[\"avatars/a\\u0000b\"]}", ""},
    {REMOVE, "{\"user_id\":7,\"paths\":[\"attachments/a\"]}", "paths[0]: must be below avatars/"},
    {REMOVE, "{\"user_id\":7,\"paths\":[\"/etc/passwd\"]}", "paths[0]: must be below avatars/"},
    {SWEEP, "{\"after\":5}", "after: must be a text of at most 255 bytes"},
    {SWEEP, "{\"before\":\"x\"}", "before: this type has no such field"},
};

Test(avatar_verdicts, bad_payloads_die_with_the_name_of_the_field)
{
    struct studio *s = studio_start();

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        must_run(s, bad[i].type, bad[i].payload, FRAME_V_DEAD, bad[i].text);
    }
    studio_stop(s);
}

Test(avatar_verdicts, a_user_who_is_gone_or_locked_ends_the_job_well)
{
    struct studio *s = studio_start();
    const struct said *said = must_run(s, RESIZE, job_of(99, "tmp", 0, 0, 1), FRAME_V_DONE, NULL);

    cr_assert(strstr(said->log, "user 99: is gone"), "%s", said->log);
    studio_user(s, 7, TMP, "");
    pg_do(s->pg, "UPDATE misago_users_user SET is_avatar_locked = true");
    said = must_run(s, RESIZE, job_of(7, "tmp", 0, 0, 1), FRAME_V_DONE, NULL);
    cr_assert(strstr(said->log, "locked by a moderator"), "%s", said->log);
    must_run(s, REMOVE, "{\"user_id\":99,\"paths\":[\"avatars/no/such/file\"]}", FRAME_V_DONE,
             NULL);
    must_run(s, SWEEP, "{}", FRAME_V_DONE, NULL);
    cr_assert_eq(studio_files(s), 0);
    studio_stop(s);
}

Test(avatar_verdicts, a_source_that_is_missing_is_fatal_unless_it_was_done)
{
    struct studio *s = studio_start();
    struct pixels p = pixels_pattern(500, 500, 0);

    studio_user(s, 7, "", "");
    must_run(s, RESIZE, job_of(7, "tmp", 0, 0, 1), FRAME_V_DEAD,
             "user 7 has no image in avatar_tmp");
    must_run(s, RESIZE, job_of(7, "src", 0, 0, 1), FRAME_V_DEAD,
             "user 7 has no image in avatar_src");
    pg_do(s->pg, "UPDATE misago_users_user SET avatar_tmp = NULL, avatar_src = NULL");
    must_run(s, RESIZE, job_of(7, "tmp", 0, 0, 1), FRAME_V_DEAD,
             "user 7 has no image in avatar_tmp");
    pg_do(s->pg, "UPDATE misago_users_user SET avatar_tmp = '%s'", TMP);
    must_run(s, RESIZE, job_of(7, "tmp", 0, 0, 1), FRAME_V_DEAD, "avatar_tmp " TMP ": ");
    cr_assert(strstr(s->rig->said[s->rig->last_seq].text, "No such file or directory"));

    studio_put_pixels(s, TMP, &p, ".png");
    must_run(s, RESIZE, job_of(7, "tmp", 0, 0, 1), FRAME_V_DONE, NULL);
    const struct said *said = must_run(s, RESIZE, job_of(7, "tmp", 0, 0, 1), FRAME_V_DONE, NULL);
    cr_assert(strstr(said->log, "another job has made this avatar"), "%s", said->log);
    must_run(s, RESIZE, job_of(7, "tmp", -9, 0, 1), FRAME_V_DEAD, "no image in avatar_tmp");
    must_be_whole(s, 7);
    pixels_free(&p);
    studio_stop(s);
}

static void must_be_rejected(struct studio *s, const void *bytes, size_t len, const char *text)
{
    studio_put(s, TMP, bytes, len);
    must_run(s, RESIZE, job_of(7, "tmp", 0, 0, 1), FRAME_V_DEAD, text);
    cr_assert_eq(studio_files(s), 1, "%s", text);
}

static const char *const others[] = {".gif", ".tif", ".ppm"};

/* From a file: not every libvips can write one. */
static void avif_must_be_rejected(struct studio *s)
{
    char bytes[1024];
    FILE *f = fopen(source_path("tests/integration/avatar/black.avif"), "re");

    cr_assert_not_null(f);
    size_t len = fread(bytes, 1, sizeof(bytes), f);
    fclose(f);
    cr_assert(len > 12 && memcmp(bytes + 4, "ftypavif", 8) == 0);
    must_be_rejected(s, bytes, len, "it is no PNG, JPEG or WebP");
}

Test(avatar_verdicts, what_is_no_png_jpeg_or_webp_never_reaches_a_decoder)
{
    struct studio *s = studio_start();
    struct pixels p = pixels_pattern(500, 500, 0);
    static const char *const texts[] = {
        "",
        "x",
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"500\" height=\"500\"/>",
        "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 500 500\n",
        "push graphic-context\nviewbox 0 0 640 480\nfill 'url(https://example.com/)'\n",
        "\x89PNG\r\n\x1a\n",
    };

    studio_user(s, 7, TMP, "");
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        size_t len;
        void *bytes = pixels_encode(&p, others[i], &len);
        must_be_rejected(s, bytes, len, "it is no PNG, JPEG or WebP");
        free(bytes);
    }
    avif_must_be_rejected(s);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        must_be_rejected(s, texts[i], strlen(texts[i]), "avatar_tmp " TMP ": not an image");
    }
    pixels_free(&p);
    studio_stop(s);
}

Test(avatar_verdicts, a_truncated_or_damaged_image_is_refused_wherever_it_ends)
{
    struct studio *s = studio_start();
    struct pixels p = pixels_pattern(500, 600, 0);
    static const char *const kinds[] = {".jpg[Q=90]", ".jpg[Q=90,interlace=true]", ".png",
                                        ".png[interlace=true]", ".webp[Q=90]"};

    studio_user(s, 7, TMP, "");
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t len;
        char *bytes = pixels_encode(&p, kinds[i], &len);
        must_be_rejected(s, bytes, len / 3, NULL);
        must_be_rejected(s, bytes, len / 2, NULL);
        /* the crop is above what is missing here */
        must_be_rejected(s, bytes, len * 97 / 100, NULL);
        free(bytes);
    }
    size_t len;
    char *bytes = pixels_encode(&p, ".png", &len);
    memset(bytes + len / 2, 0x55, 64);
    must_be_rejected(s, bytes, len, "damaged");
    /* the header's sides are those of another image */
    free(bytes);
    bytes = pixels_encode(&p, ".webp[Q=90]", &len);
    bytes[26] = (char)(bytes[26] + 3);
    must_be_rejected(s, bytes, len, "avatar_tmp " TMP ": ");
    free(bytes);
    must_run(s, RESIZE, job_of(8, "tmp", 0, 0, 1), FRAME_V_DONE, NULL); /* it goes on living */
    pixels_free(&p);
    studio_stop(s);
}

/* The executor's peak of resident memory; not with a sanitizer, which needs its own. */
static void must_peak_below(struct studio *s, long mib)
{
#ifndef __SANITIZE_ADDRESS__
    char *text = read_file(fmt("/proc/%d/status", (int)s->rig->child.pid));
    const char *line = text ? strstr(text, "VmHWM:") : NULL;

    cr_assert(line && strtol(line + 6, NULL, 10) < mib * 1024, "%.40s", line ? line : "none");
    free(text);
#else
    (void)s;
    (void)mib;
#endif
}

Test(avatar_verdicts, a_job_that_takes_too_long_stops_when_asked)
{
    struct studio *s = studio_start();
    struct pixels p = pixels_pattern(1200, 1200, 0);
    char payload[256];
    struct rig_job job = {.type = RESIZE, .payload = payload, .soft_ms = 1};

    snprintf(payload, sizeof(payload), "%s", job_of(7, "tmp", 0, 0, 0.5));
    studio_put_pixels(s, TMP, &p, ".png");
    studio_user(s, 7, TMP, "");
    const struct said *said = rig_run_job(s->rig, &job);
    cr_assert_eq(said->verdict, FRAME_V_RETRY, "%s", said->text);
    cr_assert_str_eq(said->text, "took longer than its soft limit");
    cr_assert_eq(studio_files(s), 1);
    pixels_free(&p);
    studio_stop(s);
}

static void put32(char *at, unsigned value)
{
    for (int i = 0; i < 4; i++) {
        at[i] = (char)(value >> (24 - 8 * i));
    }
}

Test(avatar_verdicts, bombs_are_refused_by_their_headers)
{
    struct studio *s = studio_start();
    struct pixels p = pixels_pattern(500, 500, 0);
    size_t len;
    char *bytes = pixels_encode(&p, ".png", &len);
    static const struct {
        unsigned width, height;
        const char *text;
    } sides[] = {
        {30000, 30000, "30000x30000 pixels; at most 16384 a side and 50000000 in all"},
        {16385, 400, "16385x400 pixels; at most"},
        {400, 16385, "400x16385 pixels; at most"},
        {7072, 7072, "7072x7072 pixels; at most"},
        {2147483647, 2147483647, "2147483647x2147483647 pixels; at most"},
    };

    studio_user(s, 7, TMP, "");
    for (size_t i = 0; i < sizeof(sides) / sizeof(sides[0]); i++) {
        put32(bytes + 16, sides[i].width);
        put32(bytes + 20, sides[i].height);
        must_be_rejected(s, bytes, len, sides[i].text);
    }
    free(bytes);
    bytes = calloc(1, 10 * 1024 * 1024 + 1);
    must_be_rejected(s, bytes, 10 * 1024 * 1024 + 1, "has 10485761 bytes, at most 10485760");
    free(bytes);
    must_peak_below(s, 100);
    pixels_free(&p);
    studio_stop(s);
}

/* A chunk of a PNG at *at. */
static void add_chunk(char **at, const char *type, const void *bytes, size_t len)
{
    char *c = *at;

    put32(c, (unsigned)len);
    memcpy(c + 4, type, 4);
    memcpy(c + 8, bytes, len);
    put32(c + 8 + len, (unsigned)crc32(0, (const Bytef *)c + 4, (uInt)len + 4));
    *at = c + len + 12;
}

Test(avatar_verdicts, texts_in_a_png_are_not_unpacked)
{
    struct studio *s = studio_start();
    struct pixels p = pixels_pattern(500, 500, 0);
    const size_t long_text = 7900000;
    const int texts = 300; /* 2 GB of them */
    uLongf packed = compressBound(long_text);
    char *text = malloc(long_text);
    Bytef *chunk = malloc(packed + 3);
    size_t len;
    char *png = pixels_encode(&p, ".png", &len);

    if (!text || !chunk) {
        fail_test("out of memory");
    }
    memset(text, 'a', long_text);
    memcpy(chunk, "t\0\0", 3);
    cr_assert_eq(compress(chunk + 3, &packed, (const Bytef *)text, long_text), Z_OK);
    char *bytes = malloc(len + (size_t)texts * (packed + 15));
    char *at = bytes + 33;
    memcpy(bytes, png, 33);
    for (int i = 0; i < texts; i++) {
        add_chunk(&at, "zTXt", chunk, packed + 3);
    }
    memcpy(at, png + 33, len - 33);
    studio_put(s, TMP, bytes, (size_t)(at - bytes) + len - 33);
    studio_user(s, 7, TMP, "");
    must_run(s, RESIZE, job_of(7, "tmp", 0, 0, 1), FRAME_V_DONE, NULL);
    must_look_like(s, 7, &p, (struct area){0, 0, 400, 400});
    must_peak_below(s, 100);
    free(bytes);
    free(png);
    free(chunk);
    free(text);
    pixels_free(&p);
    studio_stop(s);
}

Test(avatar_verdicts, a_large_source_is_taken_in_little_memory)
{
    struct studio *s = studio_start();
    struct pixels p = {7000, 7000, calloc(7000 * 7000, 4)};
    size_t len;

    if (!p.rgba) {
        fail_test("out of memory");
    }
    for (size_t i = 0; i < 7000 * 7000; i++) {
        p.rgba[i * 4 + 1] = (i / 7000) < 3500 ? 10 : 250;
        p.rgba[i * 4 + 3] = 255;
    }
    void *bytes = pixels_encode(&p, ".jpg[Q=60]", &len);
    pixels_free(&p);
    cr_assert_lt(len, 10 * 1024 * 1024);
    studio_put(s, TMP, bytes, len);
    free(bytes);
    studio_user(s, 7, TMP, "");
    must_run(s, RESIZE, job_of(7, "tmp", 0, 0, 400.0 / 7000), FRAME_V_DONE, NULL);
    must_be_whole(s, 7);
    must_peak_below(s, 150);
    studio_stop(s);
}

Test(avatar_verdicts, names_that_lead_outside_are_refused)
{
    struct studio *s = studio_start();
    struct pixels p = pixels_pattern(500, 500, 0);
    const char *outside = fmt("%s/outside", tmp_dir());
    static const char *const names[] = {
        "../outside/one.png",   "avatars/../../outside/one.png",
        "avatars/link/one.png", "avatars/link.png",
        "/etc/passwd",          "avatars//0a/one.png",
    };

    mkdir(outside, 0755);
    studio_put_pixels(s, "../outside/one.png", &p, ".png");
    mkdir(fmt("%s/avatars", s->media), 0755);
    cr_assert_eq(symlink(outside, fmt("%s/avatars/link", s->media)), 0);
    cr_assert_eq(symlink("../../outside/one.png", fmt("%s/avatars/link.png", s->media)), 0);
    for (int i = 0; i < (int)(sizeof(names) / sizeof(names[0])); i++) {
        studio_user(s, 10 + i, names[i], names[i]);
        must_run(s, RESIZE, job_of(10 + i, "tmp", 0, 0, 1), FRAME_V_DEAD, names[i]);
        must_run(s, RESIZE, job_of(10 + i, "src", 0, 0, 1), FRAME_V_DEAD, names[i]);
    }
    const struct said *said =
        must_run(s, REMOVE,
                 "{\"user_id\":7,\"paths\":[\"avatars/link/one.png\",\"avatars/../../outside/"
                 "one.png\",\"avatars/good\"]}",
                 FRAME_V_DONE, NULL);
    cr_assert(strstr(said->log, "left alone: "), "%s", said->log);
    cr_assert(studio_has(s, "../outside/one.png"));
    pixels_free(&p);
    studio_stop(s);
}

/* An executor with another configuration. */
static void restart_with(struct studio *s, const char *media)
{
    const char *config[] = {"postgres", s->pg->conninfo, "forum.media_root", media, NULL};
    const char *modules[] = {lib_path("jobq/avatar.so"), NULL};

    if (!media) {
        config[2] = NULL;
    }
    rig_free(s->rig);
    s->rig = rig_start(config, modules, NULL);
}

Test(avatar_verdicts, without_a_media_root_jobs_wait)
{
    struct studio *s = studio_start();
    const struct said *said;
    char job[256];

    snprintf(job, sizeof(job), "%s", job_of(7, "tmp", 0, 0, 1));
    studio_user(s, 7, TMP, "");
    restart_with(s, NULL);
    said = must_run(s, RESIZE, job, FRAME_V_SNOOZE, "forum.media_root is not set");
    cr_assert_eq(said->delay_ms, 60000);
    restart_with(s, "relative/path");
    must_run(s, SWEEP, "{}", FRAME_V_SNOOZE, "forum.media_root is not set");
    restart_with(s, "/nowhere/at/all");
    must_run(s, RESIZE, job, FRAME_V_SNOOZE, "/nowhere/at/all: No such file or directory");
    studio_stop(s);
}

Test(avatar_verdicts, other_tables_are_refused_with_a_clear_text)
{
    struct studio *s = studio_start();

    studio_user(s, 7, TMP, "");
    pg_do(s->pg, "ALTER TABLE misago_users_user RENAME avatar_tmp TO avatar_temporary");
    must_run(s, RESIZE, job_of(7, "tmp", 0, 0, 1), FRAME_V_DEAD,
             "the tables are not those of forum 0.39 or 0.40: ");
    pg_do(s->pg, "DROP TABLE misago_users_avatar");
    must_run(s, SWEEP, "{}", FRAME_V_DEAD, "the tables are not those of forum 0.39 or 0.40: ");
    studio_stop(s);
}
