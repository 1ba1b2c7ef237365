/* SPDX-License-Identifier: MIT */
/*
 * dispatch_scene: jobs and helpers around one dispatch object, for tests that say what happens and
 * ask what it decides.
 */
#ifndef TESTS_UNIT_WORKER_DISPATCH_SCENE_H
#define TESTS_UNIT_WORKER_DISPATCH_SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/dispatch.h"

#define JOBS_MAX 4096

/* One dispatch object and a supply of jobs; jobs[i].ctx of nothing: they are plain dispatch_job. */
struct scene {
    struct dispatch *d;
    struct dispatch_source *source; /* the first one, open, lane normal, weight 1 */
    struct dispatch_job jobs[JOBS_MAX];
    size_t used;
    int64_t now;
};

struct scene *scene_open(int64_t prefetch_us, unsigned max_held, bool strict);
void scene_close(struct scene *s);
struct dispatch_source *scene_source(struct scene *s, unsigned lane, unsigned weight);
struct dispatch_executor *scene_executor(struct scene *s);
/* A type whose jobs are measured to take so long; 0: not measured. */
struct dispatch_type *scene_type(struct scene *s, const char *name, uint32_t run_us);
/* A job read from the first source. */
struct dispatch_job *scene_claim(struct scene *s, struct dispatch_type *type, bool alone);
/* The next decision. */
struct dispatch_action scene_next(struct scene *s);
/* It must be this one. */
struct dispatch_action scene_expect(struct scene *s, enum dispatch_act act);
/* Nothing may be read: decisions about jobs only. */
void scene_no_reads(struct scene *s);

#endif
