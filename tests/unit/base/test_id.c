/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/clock.h"
#include "base/id.h"

#define FORKS 8
#define IDS_PER_FORK 2000
#define THREADS 8
#define IDS_PER_THREAD 20000

static jobq_id new_id(void)
{
    jobq_id id;
    cr_assert_eq(jobq_id_new(&id, NULL), JOBQ_OK);
    return id;
}

static int compare_ids(const void *a, const void *b)
{
    return id_compare(a, b);
}

static void assert_all_different(jobq_id *ids, size_t n)
{
    qsort(ids, n, sizeof(*ids), compare_ids);
    for (size_t i = 1; i < n; i++)
        cr_assert_neq(id_compare(&ids[i - 1], &ids[i]), 0, "two ids are the same");
}

Test(id, is_a_version_7_uuid_of_now)
{
    int64_t before = clock_wall_ms();
    for (int i = 0; i < 1000; i++) {
        jobq_id id = new_id();
        cr_assert_eq(id.bytes[6] >> 4, 7);
        cr_assert_eq(id.bytes[8] >> 6, 2);
        cr_assert_geq(id_time_ms(&id), before);
        cr_assert_leq(id_time_ms(&id), clock_wall_ms());
    }
    cr_assert_eq(jobq_id_new(NULL, NULL), JOBQ_EINVAL);
}

Test(id, increases_strictly_whatever_the_clock_does)
{
    jobq_id last = {{0}};
    int64_t wall = 1700000000000;
    for (int i = 0; i < 300000; i++) {
        if (i % 1000 == 0)
            wall += i % 7000 == 0 ? -5000 : 1;
        clock_fake(0, wall);
        jobq_id id = new_id();
        cr_assert_lt(id_compare(&last, &id), 0);
        last = id;
    }
    clock_fake(0, wall + 1000000);
    last = new_id();
    cr_assert_eq(id_time_ms(&last), wall + 1000000);
    clock_fake_off();
}

Test(id, carries_when_its_bits_are_used_up)
{
    static const uint64_t top = (UINT64_C(1) << 62) - 1;
    static const struct {
        struct id_counter before;
        uint64_t step;
        struct id_counter after;
    } cases[] = {
        {{5, 0, 0}, 1, {5, 0, 1}},
        {{5, 0, top - 1}, 1, {5, 0, top}},
        {{5, 0, top}, 1, {5, 1, 0}},
        {{5, 0xFFE, top - 2}, 10, {5, 0xFFF, 7}},
        {{5, 0xFFF, top}, 1, {6, 0, 0}},
        {{5, 0xFFF, top}, UINT64_C(1) << 32, {6, 0, UINT32_MAX}},
        {{5, 0xFFF, 0}, UINT64_C(1) << 62, {6, 0, 0}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct id_counter c = cases[i].before;
        id_counter_add(&c, cases[i].step);
        cr_assert(c.time_ms == cases[i].after.time_ms && c.high == cases[i].after.high &&
                      c.low == cases[i].after.low,
                  "case %zu", i);
    }
}

/* Time stands still, so that only the random bits tell the processes apart. */
Test(id, differs_across_forks)
{
    static jobq_id ids[(FORKS + 1) * IDS_PER_FORK];
    size_t n = 0;
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    clock_fake(0, 1700000000000);
    for (int f = 0; f < FORKS; f++) {
        ids[n++] = new_id();
        pid_t pid = fork();
        cr_assert_geq(pid, 0);
        if (pid > 0)
            continue;
        /* Half of them make their ids in a child of their own. */
        if (f % 2 == 1) {
            jobq_id used;
            if (jobq_id_new(&used, NULL) != JOBQ_OK || fork() != 0)
                _exit(0);
        }
        for (int i = 0; i < IDS_PER_FORK; i++) {
            jobq_id id;
            if (jobq_id_new(&id, NULL) != JOBQ_OK ||
                write(ends[1], &id, sizeof(id)) != (ssize_t)sizeof(id))
                _exit(1);
        }
        _exit(0);
    }
    close(ends[1]);
    size_t got = 0;
    jobq_id id;
    /* 16 bytes are written and read in one piece. */
    while (read(ends[0], &id, sizeof(id)) == (ssize_t)sizeof(id)) {
        ids[n++] = id;
        got++;
    }
    cr_assert_eq(got, (size_t)FORKS * IDS_PER_FORK);
    for (int i = 0; i < 500; i++)
        ids[n++] = new_id();
    assert_all_different(ids, n);
    while (wait(NULL) > 0)
        continue;
    clock_fake_off();
}

static void *make_ids(void *arg)
{
    jobq_id *ids = arg;
    for (size_t i = 0; i < IDS_PER_THREAD; i++) {
        if (jobq_id_new(&ids[i], NULL) != JOBQ_OK)
            return NULL;
        if (i > 0 && id_compare(&ids[i - 1], &ids[i]) >= 0)
            return NULL;
    }
    return ids;
}

Test(id, differs_across_threads)
{
    jobq_id *ids = calloc(THREADS * IDS_PER_THREAD, sizeof(*ids));
    pthread_t threads[THREADS];
    clock_fake(0, 1700000000000);
    for (size_t t = 0; t < THREADS; t++)
        cr_assert_eq(pthread_create(&threads[t], NULL, make_ids, ids + t * IDS_PER_THREAD), 0);
    for (size_t t = 0; t < THREADS; t++) {
        void *result = NULL;
        cr_assert_eq(pthread_join(threads[t], &result), 0);
        cr_assert_not_null(result, "a thread's ids did not increase");
    }
    assert_all_different(ids, THREADS * IDS_PER_THREAD);
    clock_fake_off();
    free(ids);
}

Test(id, is_read_as_it_is_written)
{
    jobq_id fixed = {{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0x7c, 0xde, 0x8f, 0xff, 0x00, 0x11, 0x22,
                      0x33, 0x44, 0x55}};
    char text[JOBQ_ID_TEXT_SIZE];
    jobq_id back;
    jobq_id_format(&fixed, text);
    cr_assert_str_eq(text, "01234567-89ab-7cde-8fff-001122334455");
    cr_assert_eq(jobq_id_parse("01234567-89AB-7CDE-8FFF-001122334455", &back, NULL), JOBQ_OK);
    cr_assert_eq(id_compare(&back, &fixed), 0);
    for (int i = 0; i < 1000; i++) {
        jobq_id id = new_id();
        jobq_id_format(&id, text);
        cr_assert_eq(strlen(text), 36u);
        cr_assert_eq(jobq_id_parse(text, &back, NULL), JOBQ_OK);
        cr_assert_eq(id_compare(&back, &id), 0);
    }
}

Test(id, refuses_every_other_form)
{
    static const char *const bad[] = {
        "",
        "0",
        "01234567-89ab-7cde-8fff-00112233445",
        "01234567-89ab-7cde-8fff-0011223344556",
        "0123456789ab7cde8fff001122334455",
        "01234567-89ab-7cde-8fff-00112233445g",
        "01234567_89ab-7cde-8fff-001122334455",
        "01234567-89ab-7cde-8fff+001122334455",
        "0123456-789ab-7cde-8fff-001122334455",
        " 1234567-89ab-7cde-8fff-001122334455",
        "{1234567-89ab-7cde-8fff-00112233445}",
        "01234567-89ab-7cde-8fff-0011223344\x80\x80",
        "------------------------------------",
    };
    jobq_id untouched = {{1, 2, 3}};
    jobq_id out = untouched;
    jobq_err err = {0};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        cr_assert_eq(jobq_id_parse(bad[i], &out, &err), JOBQ_EINVAL, "%s", bad[i]);
        cr_assert_eq(id_compare(&out, &untouched), 0);
        cr_assert_eq(err.code, JOBQ_EINVAL);
    }
    cr_assert_eq(jobq_id_parse(NULL, &out, NULL), JOBQ_EINVAL);
    cr_assert_eq(jobq_id_parse("01234567-89ab-7cde-8fff-001122334455", NULL, NULL), JOBQ_EINVAL);
}

Test(id, tells_time_of_version_7_only)
{
    jobq_id id = {{0}};
    cr_assert_eq(jobq_id_parse("017f22e2-79b0-7cc3-98c4-dc0c0c07398f", &id, NULL), JOBQ_OK);
    cr_assert_eq(id_time_ms(&id), 1645557742000, "the example of RFC 9562");
    cr_assert_eq(jobq_id_parse("017f22e2-79b0-4cc3-98c4-dc0c0c07398f", &id, NULL), JOBQ_OK);
    cr_assert_eq(id_time_ms(&id), -1);
    cr_assert_eq(jobq_id_parse("017f22e2-79b0-7cc3-58c4-dc0c0c07398f", &id, NULL), JOBQ_OK);
    cr_assert_eq(id_time_ms(&id), -1);
}

/* The ids of children stored by one version must be those another version derives. */
Test(id, derives_the_same_children_for_ever)
{
    jobq_id parent;
    jobq_id child;
    char text[JOBQ_ID_TEXT_SIZE];
    cr_assert_eq(jobq_id_parse("017f22e2-79b0-7cc3-98c4-dc0c0c07398f", &parent, NULL), JOBQ_OK);
    id_derive(&parent, 0, &child);
    jobq_id_format(&child, text);
    cr_assert_str_eq(text, "017f22e2-79b0-7198-979d-522c85778236");
    id_derive(&parent, UINT32_C(0x01020304), &child);
    jobq_id_format(&child, text);
    cr_assert_str_eq(text, "017f22e2-79b0-7e8f-9bbb-8c7bee914026");
}

Test(id, derives_different_children)
{
    static jobq_id ids[20000];
    jobq_id parents[2] = {new_id(), new_id()};
    for (uint32_t n = 0; n < ARRAY_LEN(ids); n++) {
        id_derive(&parents[n % 2], n / 2, &ids[n]);
        cr_assert_eq(id_time_ms(&ids[n]), id_time_ms(&parents[n % 2]));
    }
    assert_all_different(ids, ARRAY_LEN(ids));
}

Test(id, random_numbers_are_spread_evenly)
{
    static const uint64_t big = UINT64_C(3) << 62; /* a quarter of all draws must be refused */
    int counts[3] = {0};
    int thirds[3] = {0};
    for (int i = 0; i < 30000; i++) {
        uint64_t small = id_random_below(3);
        uint64_t large = id_random_below(big);
        cr_assert_lt(small, 3u);
        cr_assert_lt(large, big);
        counts[small]++;
        thirds[large / (big / 3)]++;
        cr_assert_eq(id_random_below(1), 0u);
    }
    /* Twelve standard deviations. */
    for (int i = 0; i < 3; i++) {
        cr_assert(counts[i] > 9000 && counts[i] < 11000, "%d", counts[i]);
        cr_assert(thirds[i] > 9000 && thirds[i] < 11000, "%d", thirds[i]);
    }
}

Test(id, random_bytes_fill_the_whole_of_it)
{
    uint8_t bytes[1000] = {0};
    int zeros = 0;
    cr_assert_eq(id_random(bytes, sizeof(bytes)), JOBQ_OK);
    for (size_t i = 0; i < sizeof(bytes); i++)
        zeros += bytes[i] == 0;
    cr_assert_lt(zeros, 60);
    cr_assert_neq(memcmp(bytes + 500, bytes + 984, 16), 0);
    cr_assert_eq(id_random(bytes, 0), JOBQ_OK);
}
