/* SPDX-License-Identifier: MIT */
#include "tests/unit/worker/dispatch_scene.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "broker/keys.h"

struct scene *scene_open(int64_t prefetch_us, unsigned max_held, bool strict)
{
    struct scene *s = calloc(1, sizeof(*s));
    struct dispatch_limits limits = {prefetch_us, max_held, strict};
    jobq_err err;
    cr_assert_not_null(s);
    s->now = 1000;
    cr_assert_eq(dispatch_new(limits, &s->d, &err), JOBQ_OK);
    s->source = scene_source(s, LANE_NORMAL, 1);
    return s;
}

void scene_close(struct scene *s)
{
    dispatch_free(s->d);
    free(s);
}

struct dispatch_source *scene_source(struct scene *s, unsigned lane, unsigned weight)
{
    struct dispatch_source *source = NULL;
    jobq_err err;
    cr_assert_eq(dispatch_add_source(s->d, lane, weight, s, &source, &err), JOBQ_OK);
    cr_assert(!dispatch_source_is_open(source));
    dispatch_source_open(s->d, source, true);
    cr_assert_eq(dispatch_source_ctx(source), s);
    return source;
}

struct dispatch_executor *scene_executor(struct scene *s)
{
    struct dispatch_executor *x = NULL;
    jobq_err err;
    cr_assert_eq(dispatch_add_executor(s->d, s, &x, &err), JOBQ_OK);
    cr_assert_eq(dispatch_executor_ctx(x), s);
    return x;
}

struct dispatch_type *scene_type(struct scene *s, const char *name, uint32_t run_us)
{
    struct dispatch_type *type = dispatch_type_of(s->d, name, strlen(name));
    cr_assert_not_null(type);
    if (!run_us)
        return type;
    struct scene *other = scene_open(1000, 10, false);
    struct dispatch_executor *x = scene_executor(other);
    scene_no_reads(other);
    struct dispatch_job *j = scene_claim(other, type, false);
    j->source = NULL;
    scene_expect(other, DISPATCH_HAND);
    dispatch_finished(other->d, x, j, run_us);
    scene_close(other);
    return type;
}

struct dispatch_job *scene_claim(struct scene *s, struct dispatch_type *type, bool alone)
{
    cr_assert_lt(s->used, JOBS_MAX);
    struct dispatch_job *j = &s->jobs[s->used++];
    list_init(&j->node);
    j->source = s->source;
    j->type = type;
    j->alone = alone;
    dispatch_claimed(s->d, j, s->now);
    return j;
}

struct dispatch_action scene_next(struct scene *s)
{
    return dispatch_next(s->d, s->now);
}

struct dispatch_action scene_expect(struct scene *s, enum dispatch_act act)
{
    struct dispatch_action a = scene_next(s);
    cr_assert_eq(a.act, act, "act %d, expected %d", (int)a.act, (int)act);
    return a;
}

void scene_no_reads(struct scene *s)
{
    dispatch_hold(s->d, true);
}
