/* SPDX-License-Identifier: MIT */
/* doctor_redis: what doctor finds of Redis; see doctor.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "admin/jobctl/doctor.h"
#include "admin/jobctl/session.h"
#include "base/clock.h"
#include "broker/conn.h"
#include "broker/rights.h"
#include "broker/url.h"

#define REDIS_MAJOR_MIN 7
#define MEMORY_FULL_PERCENT 90

static void check_persistence(struct doctor *d, const struct inspect_server *s)
{
    static const char check[] = "redis persistence";
    static const char failing[] = "make room on Redis's disk, or let it write there (its log says "
                                  "why): meanwhile it refuses jobs";
    if (!s->aof_enabled)
        doctor_add(d, check, DOCTOR_FAULT, "appendonly no",
                   "set appendonly yes: without it a restart of Redis loses jobs");
    else if (s->aof_failed)
        doctor_add(d, check, DOCTOR_FAULT, "the last write of the append-only file failed",
                   failing);
    else if (s->rdb_failed)
        doctor_add(d, check, DOCTOR_FAULT, "the last snapshot failed", failing);
    else
        doctor_add(d, check, DOCTOR_OK, "appendonly yes", NULL);
}

static void check_memory(struct doctor *d, const struct inspect_server *s)
{
    char found[96];
    bool fine = s->maxmemory <= 0 || s->used_memory < s->maxmemory / 100 * MEMORY_FULL_PERCENT;
    if (s->maxmemory <= 0)
        snprintf(found, sizeof(found), "%" PRId64 " MiB, no limit", s->used_memory >> 20);
    else
        snprintf(found, sizeof(found), "%" PRId64 " of %" PRId64 " MiB", s->used_memory >> 20,
                 s->maxmemory >> 20);
    doctor_judge(
        d, "redis memory", fine, found,
        "raise maxmemory, or let jobs be worked off or purged (jobctl queue list): when it "
        "is full, jobs are refused");
}

static void check_replicas(struct doctor *d, const struct inspect_server *s)
{
    static const char check[] = "redis replicas";
    char found[96];
    if (s->replicas_lacking) {
        snprintf(found, sizeof(found), "min-replicas-to-write is set, and none of %d is in reach",
                 s->replicas);
        doctor_add(d, check, DOCTOR_FAULT, found,
                   "bring the replicas back: until then Redis refuses jobs (NOREPLICAS)");
    } else if (s->replicas_behind > 0) {
        snprintf(found, sizeof(found), "%d of %d not online or more than %d s behind",
                 s->replicas_behind, s->replicas, INSPECT_LAG_S);
        doctor_add(d, check, DOCTOR_FAULT, found,
                   "see the replica's log and network: a failover now would lose what it lacks");
    } else {
        snprintf(found, sizeof(found), s->replicas > 0 ? "%d, online" : "none", s->replicas);
        doctor_add(d, check, DOCTOR_OK, found, NULL);
    }
}

static void check_server(struct doctor *d, const struct inspect_server *s, int64_t asked_ms)
{
    bool master = strcmp(s->role, "master") == 0;
    doctor_judge(d, "redis version", s->major >= REDIS_MAJOR_MIN, s->version,
                 "install Redis 7.0 or newer, or Valkey");
    doctor_judge(d, "redis role", master, master ? s->role : "a replica",
                 "name the master: a replica takes no jobs");
    doctor_judge(d, "redis eviction", strcmp(s->maxmemory_policy, "noeviction") == 0,
                 s->maxmemory_policy,
                 "set maxmemory-policy noeviction: any other one throws jobs away when memory is "
                 "short");
    check_persistence(d, s);
    check_memory(d, s);
    check_replicas(d, s);
    doctor_clock(d, "redis clock", asked_ms, s->clock_ms);
}

static void check_rights(struct session *s, const struct inspect *in, struct doctor *d)
{
    static const char check[] = "redis privileges";
    struct rights rights;
    jobq_err err = {0};
    char found[320];
    const char *user = settings_redis(s->settings)->user;
    if (user == NULL)
        user = "default";
    if (rights_of_worker(in, &rights, &err) != JOBQ_OK) {
        doctor_add(d, check, DOCTOR_FAULT, err.msg, "mend what Redis says");
    } else if (!rights.may_claim) {
        snprintf(found, sizeof(found), "user %.60s may not claim: no jobd's", user);
        doctor_add(d, check, DOCTOR_SKIPPED, found, NULL);
    } else if (rights.refused > 0) {
        snprintf(found, sizeof(found), "user %.60s may not %s (%zu in all)", user, rights.first,
                 rights.refused);
        doctor_add(d, check, DOCTOR_FAULT, found,
                   "give it the rights of jobq-worker in contrib/redis/users.conf");
    } else {
        snprintf(found, sizeof(found), "user %.60s may do what jobd does", user);
        doctor_add(d, check, DOCTOR_OK, found, NULL);
    }
}

void doctor_redis(struct session *s, struct doctor *d)
{
    static const char *const rest[] = {"redis version",     "redis role",      "redis eviction",
                                       "redis persistence", "redis memory",    "redis replicas",
                                       "redis clock",       "redis privileges"};
    struct inspect in;
    struct inspect_server server;
    jobq_err err = {0};
    int rc = session_redis(s, &in, &err);
    int64_t asked_ms = clock_wall_ms();
    if (rc == JOBQ_OK)
        rc = inspect_server(&in, &server, &err);
    if (rc == JOBQ_OK) {
        doctor_add(d, "redis reachable", DOCTOR_OK, conn_where(in.conn), NULL);
        check_server(d, &server, asked_ms);
        check_rights(s, &in, d);
        return;
    }
    doctor_add(d, "redis reachable", DOCTOR_FAULT, err.msg,
               rc == JOBQ_EAUTH
                   ? "give user and password in the URL, with permission for INFO and jobq's keys"
                   : "start Redis, or name the right one: redis in the configuration, JOBQ_REDIS "
                     "or --redis");
    doctor_skip(d, rest, ARRAY_LEN(rest), "redis is not reachable");
}
