/* SPDX-License-Identifier: MIT */
/*
 * The wall clock of one machine is stepped by an hour: nobody is declared dead for it, and nothing
 * starts early by Redis's clock, nor an hour late (G16 G17 G31).
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/e2e/outage/outage.h"

#define HOUR 3600

static volatile int64_t *make_clock(char *env, size_t size)
{
    const char *path = fmt("%s/step", tmp_dir());
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int64_t zero = 0;

    if (fd < 0 || write(fd, &zero, sizeof(zero)) != (ssize_t)sizeof(zero))
        fail_test("cannot write %s", path);
    void *mapped = mmap(NULL, sizeof(zero), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped == MAP_FAILED)
        fail_test("cannot map %s", path);
    snprintf(env, size, "JOBQ_TEST_STEP=%s", path);
    return mapped;
}

/* The runtime of AddressSanitizer would rather be the first library. */
static void allow_preload(void)
{
    const char *given = getenv("ASAN_OPTIONS");

    setenv("ASAN_OPTIONS",
           fmt("%s%sverify_asan_link_order=0", given ? given : "", given ? ":" : ""), 1);
}

/* jobd 0 wrote lines into its log that far from now, give or take two minutes. */
static bool has_logged_at(struct scene *s, int64_t seconds)
{
    bool found = false;

    for (int64_t minute = 0; minute < 3 && !found; minute++) {
        time_t when = time(NULL) + seconds - minute * 60;
        char stamp[32];
        struct tm t;

        gmtime_r(&when, &t);
        strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M", &t);
        found = process_count_log(s->jobd[0]->process, stamp) > 0;
    }
    return found;
}

struct step {
    struct scene *scene;
    int64_t seconds;
};

/* With work enough that it has something to write. */
static bool is_stepped(void *ctx)
{
    struct step *step = ctx;

    if (has_logged_at(step->scene, step->seconds))
        return true;
    scene_enqueue_many(step->scene, "effect", "{}", 4);
    return false;
}

static void step_to(struct scene *s, volatile int64_t *offset, int64_t seconds)
{
    struct step step = {s, seconds};

    *offset = seconds;
    cr_assert(wait_until(patience_ms(30000), is_stepped, &step), "the clock was not stepped");
}

#define DUE "FROM public.due d JOIN public.effects e ON e.job_id = d.id"

/*
 * Ten jobs due in two seconds. PostgreSQL and Redis share a clock that nobody steps: an effect's
 * time is its start, by Redis's clock too.
 */
static void enqueue_due(struct scene *s)
{
    jobq_job job = JOBQ_JOB_INIT;
    char id[JOBQ_ID_TEXT_SIZE];

    pg_do(s->postgres, "CREATE TABLE public.due (at timestamptz, id uuid)");
    job.type = "effect";
    job.delay_ms = 2000;
    for (int i = 0; i < 10; i++) {
        pg_do(s->postgres, "INSERT INTO public.due VALUES (clock_timestamp() + interval '2 s')");
        jobq_id enqueued = scene_enqueue_job(s, &job).id;
        jobq_id_format(&enqueued, id);
        pg_do(s->postgres, "UPDATE public.due SET id = '%s' WHERE id IS NULL", id);
    }
}

/* Jobs due in two seconds are under way; jobd 0 is stepped; jobd 1 is not. */
static bool step_clock(int64_t lease_ms, const void *what)
{
    int64_t seconds = *(const int64_t *)what;
    struct scene *s = scene_new(SCENE_PG);
    char clock_env[300], preload[300];
    const char *env[] = {clock_env, preload, NULL};

    volatile int64_t *offset = make_clock(clock_env, sizeof(clock_env));
    snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", lib_path("jobq-test/step.so"));
    allow_preload();
    scene_jobd(s, 0,
               (struct jobd_options){.executors = 2, .lease = outage_lease(lease_ms), .env = env});
    scene_jobd(s, 1, (struct jobd_options){.executors = 2, .lease = outage_lease(lease_ms)});
    scene_enqueue_many(s, "effect_slow", "{\"ms\": 100}", 60);
    scene_wait_pending(s, 2, 20000);
    enqueue_due(s);
    step_to(s, offset, seconds);
    outage_lasts(s, 3 * lease_ms);
    step_to(s, offset, -seconds);
    outage_lasts(s, 3 * lease_ms);
    scene_wait_drained(s, 30000);
    cr_assert_eq(pg_int(s->postgres, "SELECT count(*) " DUE), 10);
    cr_assert_eq(pg_int(s->postgres, "SELECT count(*) " DUE " WHERE e.at < d.at - interval '1 ms'"),
                 0, "a job began early");
    bool spared = outage_end_without_steal(s);
    munmap((void *)(uintptr_t)offset, sizeof(*offset));
    return spared;
}

Test(clock, an_hour_forward_and_back_steals_and_hastens_nothing)
{
    outage_without_steal(step_clock, 500, &(const int64_t){HOUR});
}

Test(clock, an_hour_back_and_forward_steals_and_hastens_nothing)
{
    outage_without_steal(step_clock, 500, &(const int64_t){-HOUR});
}
