/* SPDX-License-Identifier: MIT */
/*
 * rig_pg: an executor with the handlers of test_pg.so and a private PostgreSQL that has jobq's
 * tables and theirs.
 */
#ifndef TESTS_INTEGRATION_EXECUTOR_RIG_PG_H
#define TESTS_INTEGRATION_EXECUTOR_RIG_PG_H

#include "tests/support/support.h"
#include "tests/unit/executor/harness.h"

/* A server with all tables; stopped with the test. */
struct postgres *db_start(void);
/* Waits until the executor is ready and says that the database answers. env may be NULL. */
struct rig *db_rig(struct postgres *p, const char *const *env);
/* Does not wait for the database. extra: further configuration, NULL-ended, or NULL. */
struct rig *db_rig_of(const char *conninfo, const char *const *env, const char *const *extra);
/* Conditions for rig_wait(). */
bool db_is_up(struct rig *r);
bool db_is_down(struct rig *r);

jobq_id db_id(void);
const char *db_id_text(const jobq_id *id);
/* Rows of effects, of this id or (NULL) all. */
long long db_effects(struct postgres *p, const jobq_id *id);
long long db_done(struct postgres *p, const jobq_id *id);
/* Runs a job of this id, in this executor. */
const struct said *db_run(struct rig *r, const jobq_id *id, const char *type, const char *payload);
/* In a new executor, which ends afterwards. */
void db_run_elsewhere(struct postgres *p, const jobq_id *id, const char *type, const char *payload,
                      enum frame_verdict verdict);
/* Waits until the query gives a positive number. */
void db_wait(struct postgres *p, const char *query);

#endif
