/* SPDX-License-Identifier: MIT */
/* The whole way: a job in Redis, jobd, an executor with the module as it is built, PostgreSQL,
   files; and the child that removes the old ones. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include <jobq/jobq.h>

#include "tests/integration/avatar/studio.h"

#define TMP "avatars/0a/1b/upload/one.png"
#define OLD "avatars/ee/ee/old/400.png"

static bool is_swapped(void *ctx)
{
    struct studio *s = ctx;

    return pg_int(s->pg, "SELECT count(*) FROM misago_users_avatar WHERE user_id = 7") == SIZES &&
           !studio_has(s, OLD);
}

static void enqueue(jobq_client *client, const char *type, const char *payload)
{
    jobq_job job = JOBQ_JOB_INIT;
    jobq_answer answer;
    jobq_err err;

    job.type = type;
    job.payload = payload;
    cr_assert_eq(jobq_enqueue(client, &job, &answer, &err), JOBQ_OK, "%s", err.msg);
}

static bool is_swept(void *ctx)
{
    return !studio_has(ctx, "avatars/00/00/orphan/1.png");
}

Test(avatar_jobd, makes_avatars_and_sweeps)
{
    struct studio *s = studio_start();
    struct redis *redis = redis_start(NULL);
    struct pixels p = pixels_pattern(520, 500, 1);
    jobq_client_options o = JOBQ_CLIENT_OPTIONS_INIT;
    jobq_client *client = NULL;
    jobq_err err;
    struct jobd *jobd = jobd_start(&(struct jobd_options){
        .redis = redis->url,
        .postgres = s->pg->conninfo,
        .modules = fmt("\"%s\"", lib_path("jobq/avatar.so")),
        .executors = 1,
        .extra =
            fmt("forum = { media_root = \"%s\"; media_url = \"https://cdn.example.org/m\"; };\n",
                s->media),
    });

    o.redis = redis->url;
    o.deadline_ms = 10000;
    cr_assert_eq(jobq_client_open(&o, &client, &err), JOBQ_OK, "%s", err.msg);
    studio_put_pixels(s, TMP, &p, ".png");
    studio_put(s, OLD, "x", 1);
    studio_put(s, "avatars/00/00/orphan/1.png", "x", 1);
    studio_age(s, "avatars/00/00/orphan/1.png", 100000);
    studio_user(s, 7, TMP, "");
    pg_do(s->pg,
          "INSERT INTO misago_users_avatar (user_id, size, image) VALUES (7, 400, '" OLD "')");
    enqueue(client, RESIZE, job_of(7, "tmp", -20, -30, 0.9));
    if (!wait_until(patience_ms(30000), is_swapped, s)) {
        fail_test("no avatar came of the job");
    }
    must_look_like(s, 7, &p, (struct area){22, 33, 467, 478});
    cr_assert_eq(pg_int(s->pg, "SELECT count(*) FROM misago_users_user,"
                               " jsonb_array_elements(avatars) a JOIN misago_users_avatar i ON"
                               " a ->> 'url' = 'https://cdn.example.org/m/' || i.image"),
                 SIZES);
    enqueue(client, SWEEP, "{}");
    if (!wait_until(patience_ms(30000), is_swept, s)) {
        fail_test("the orphan stays");
    }
    cr_assert_eq(jobd_drain(jobd, patience_ms(30000)), 0);
    jobd_free(jobd);
    jobq_client_close(client);
    redis_stop(redis);
    pixels_free(&p);
    studio_stop(s);
}
