/* SPDX-License-Identifier: MIT */
/*
 * outage: what the tests of outages share: long waits as conditions, the connections of a jobd as
 * Redis sees them.
 */
#ifndef TESTS_E2E_OUTAGE_H
#define TESTS_E2E_OUTAGE_H

#include "tests/e2e/scene.h"

/* Waits for STATUS= with the text, or fails the test. */
void outage_wait_status(struct jobd *j, const char *text);
/* Waits for the text in its log, or fails the test. */
void outage_wait_log(struct jobd *j, const char *text);
/* The length of an outage: so long jobd must stay alive, and nobody be declared dead. Fails the
 * test otherwise. */
void outage_lasts(struct scene *s, int64_t ms);
/* Nobody of ours was declared dead by anybody: 0 steals. For one jobd, or after long leases. */
void outage_check_no_steal(struct scene *s);
/* Drained, every effect once, no dead letter, 0 steals; drains every jobd and frees the scene. */
void outage_end(struct scene *s);
/* The same; tells whether there was no steal. */
bool outage_end_without_steal(struct scene *s);
/*
 * Runs it with that lease. A jobd that its machine gives no turn for a lease is declared dead with
 * right, so where one was, it is run again with a lease three times as long, and once more: who
 * counts an outage as silence steals in every one.
 */
void outage_without_steal(bool (*run)(int64_t lease_ms, const void *what), int64_t lease_ms,
                          const void *what);
/* "500ms" */
const char *outage_lease(int64_t ms);
/* Back since then within what only a slow machine makes longer; who waits for a beat of minutes
 * is later. */
void outage_check_healed(int64_t since_ms);
/* Number of the newest connection of that name (CLIENT LIST), 0: there is none. */
long long outage_connection(struct scene *s, const char *name);
/* A read of some jobd waits in Redis for a job. */
bool outage_is_blocked(struct scene *s);
/* Waits for that; the number of the newest reader. */
long long outage_wait_blocked(struct scene *s);
/* A link to that Redis at another socket: SIGSTOP freezes it, SIGKILL cuts it. */
struct process *outage_relay(struct redis *r, const char *path);
/* CPU time the process has used, in ms. */
int64_t outage_cpu_ms(pid_t pid);
/* Fails the test when so much of it in so long is more than 5 %. */
void outage_check_idle(int64_t cpu_ms, int64_t in_ms);

#endif
