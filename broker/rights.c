/* SPDX-License-Identifier: MIT */
/* rights: see rights.h. */
#include "broker/rights.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "broker/ask.h"
#include "broker/conn.h"
#include "broker/inspect.h"
#include "broker/keys.h"
#include "broker/resp.h"

/* Each argument is a command, words parted by blanks; answers those that the caller is refused.
 * Runs none of them. */
static const char script[] =
    "#!lua flags=no-writes,allow-stale,allow-oom\n"
    "local refused = {} "
    "for _, line in ipairs(ARGV) do "
    "  local words = {} "
    "  for word in line:gmatch('%S+') do words[#words + 1] = word end "
    "  if not redis.acl_check_cmd(unpack(words)) then refused[#refused + 1] = line end "
    "end "
    "return refused";

/* What a jobd sends, and what its scripts do: of contrib/redis/users.conf the line of jobq-worker.
 * The key or channel comes for %. */
enum subject {
    NOTHING,
    LANE,
    LATER,
    HELD,
    ALIVE,
    TYPES,
    DEAD,
    TOTALS,
    PARKED,
    STATS,
    UNIQUE,
    QUEUES,
    WAKE,
    EVENTS,
    NODE
};
static const struct {
    enum subject subject;
    const char *command;
} needed[] = {
    {NOTHING, "TIME"},
    {NOTHING, "INFO"},
    {NOTHING, "ROLE"},
    {NOTHING, "CLIENT INFO"},
    {NOTHING, "CLIENT UNBLOCK 1"},
    {NOTHING, "CLIENT KILL ID 1"},
    {QUEUES, "HGETALL %"},
    {QUEUES, "HSETNX % f 1"},
    {LANE, "XGROUP CREATE % jobq 0"},
    {LANE, "XGROUP DELCONSUMER % jobq c"},
    {LANE, "XREADGROUP GROUP jobq c STREAMS % >"},
    {LANE, "XADD % * h x"},
    {LANE, "XACK % jobq 1-1"},
    {LANE, "XDEL % 1-1"},
    {LANE, "XTRIM % MINID 0"},
    {LANE, "XRANGE % - +"},
    {LANE, "XPENDING % jobq"},
    {LANE, "XLEN %"},
    {LANE, "XINFO GROUPS %"},
    {LANE, "XINFO CONSUMERS % jobq"},
    {DEAD, "XADD % * h x"},
    {DEAD, "XLEN %"},
    {DEAD, "XRANGE % - +"},
    {DEAD, "XDEL % 1-1"},
    {DEAD, "XTRIM % MAXLEN 1"},
    {TOTALS, "HGET % f"},
    {TOTALS, "HINCRBY % f 1"},
    {PARKED, "XADD % * h x"},
    {PARKED, "XDEL % 1-1"},
    {PARKED, "XRANGE % - +"},
    {ALIVE, "HSETNX % f 1"},
    {ALIVE, "HGET % f"},
    {ALIVE, "HGETALL %"},
    {ALIVE, "HINCRBY % f 1"},
    {ALIVE, "HDEL % f"},
    {TYPES, "HSET % f v"},
    {HELD, "HEXISTS % f"},
    {HELD, "HSET % f v"},
    {LATER, "ZADD % 1 m"},
    {LATER, "ZRANGE % 0 0"},
    {LATER, "ZREM % m"},
    {LATER, "ZCARD %"},
    {STATS, "HGET % f"},
    {STATS, "HINCRBY % f 1"},
    {STATS, "EXPIRE % 1"},
    {UNIQUE, "GET %"},
    {UNIQUE, "SET % v"},
    {WAKE, "PUBLISH % 1"},
    {WAKE, "SUBSCRIBE %"},
    {EVENTS, "PUBLISH % x"},
    {NODE, "SUBSCRIBE %"},
    {NODE, "PUBSUB NUMSUB %"},
};

const char *rights_needed(size_t i)
{
    return i < ARRAY_LEN(needed) ? needed[i].command : NULL;
}

struct names {
    struct shard_keys keys;
    char stats[KEYS_MAX], unique[KEYS_MAX], queues[KEYS_MAX], node[KEYS_MAX];
};

static int make_names(const struct inspect *in, struct names *n, jobq_err *err)
{
    int rc = keys_init(&n->keys, in->prefix, "default", 0, err);
    if (rc != JOBQ_OK)
        return rc;
    keys_stats(&n->keys, 0, n->stats, sizeof(n->stats));
    keys_unique(&n->keys, "x", 1, n->unique, sizeof(n->unique));
    keys_queues(in->prefix, n->queues, sizeof(n->queues));
    keys_node(in->prefix, "x", n->node, sizeof(n->node));
    return JOBQ_OK;
}

static const char *name_of(const struct names *n, enum subject s)
{
    const char *const all[] = {
        [NOTHING] = "",
        [LANE] = n->keys.lanes[LANE_NORMAL],
        [LATER] = n->keys.later,
        [HELD] = n->keys.held,
        [ALIVE] = n->keys.alive,
        [TYPES] = n->keys.types,
        [DEAD] = n->keys.dead,
        [TOTALS] = n->keys.totals,
        [PARKED] = n->keys.parked,
        [STATS] = n->stats,
        [UNIQUE] = n->unique,
        [QUEUES] = n->queues,
        [WAKE] = n->keys.wake,
        [EVENTS] = n->keys.events,
        [NODE] = n->node,
    };
    return all[s];
}

static void add_command(struct buf *out, const char *command, const char *subject)
{
    char line[KEYS_MAX + 64];
    const char *at = strchr(command, '%');
    if (at == NULL)
        snprintf(line, sizeof(line), "%s", command);
    else
        snprintf(line, sizeof(line), "%.*s%s%s", (int)(at - command), command, subject, at + 1);
    resp_str(out, line);
}

/* NOGROUP is what one hears who may claim. The lane has no such name: nothing is claimed. */
static int probe_claim(const struct inspect *in, const struct names *n, bool *may, jobq_err *err)
{
    struct redisReply *r[1];
    char lane[KEYS_MAX];
    snprintf(lane, sizeof(lane), "%s:ready:none", n->keys.base);
    resp_command(conn_out(in->conn), "XREADGROUP", "GROUP", KEYS_GROUP, "doctor", "STREAMS", lane,
                 ">", NULL);
    int rc = ask_many(in->conn, in->deadline_ms, r, 1, err);
    if (rc != JOBQ_OK)
        return rc;
    *may = r[0]->type != REDIS_REPLY_ERROR || strncmp(r[0]->str, "NOPERM", 6) != 0;
    ask_free(r, 1);
    return JOBQ_OK;
}

/* JOBQ_EAUTH: it may not be loaded. */
static int load_script(const struct inspect *in, char sha[64], jobq_err *err)
{
    struct redisReply *r[1];
    resp_command(conn_out(in->conn), "SCRIPT", "LOAD", script, NULL);
    int rc = ask_many(in->conn, in->deadline_ms, r, 1, err);
    if (rc != JOBQ_OK)
        return rc;
    rc = ask_shape(r[0], REDIS_REPLY_STRING, "SCRIPT LOAD", err);
    if (rc == JOBQ_OK)
        text_sanitize(r[0]->str, r[0]->len, sha, 64);
    ask_free(r, 1);
    return rc;
}

static int run_script(const struct inspect *in, const struct names *n, const char *sha,
                      struct rights *out, jobq_err *err)
{
    struct redisReply *r[1];
    struct buf *b = conn_out(in->conn);
    resp_begin(b, 3 + ARRAY_LEN(needed));
    resp_str(b, "EVALSHA");
    resp_str(b, sha);
    resp_str(b, "0");
    for (size_t i = 0; i < ARRAY_LEN(needed); i++)
        add_command(b, needed[i].command, name_of(n, needed[i].subject));
    int rc = ask_many(in->conn, in->deadline_ms, r, 1, err);
    if (rc != JOBQ_OK)
        return rc;
    rc = ask_shape(r[0], REDIS_REPLY_ARRAY, "EVALSHA", err);
    if (rc == JOBQ_OK) {
        out->refused = r[0]->elements;
        if (out->refused > 0 && r[0]->element[0]->type == REDIS_REPLY_STRING)
            text_sanitize(r[0]->element[0]->str, r[0]->element[0]->len, out->first,
                          sizeof(out->first));
    }
    ask_free(r, 1);
    return rc;
}

int rights_of_worker(const struct inspect *in, struct rights *out, jobq_err *err)
{
    struct names n = {0};
    struct rights rights = {0};
    char sha[64];
    jobq_err why = {0};
    int rc = make_names(in, &n, err);
    if (rc != JOBQ_OK)
        goto out;
    rc = probe_claim(in, &n, &rights.may_claim, err);
    if (rc != JOBQ_OK || !rights.may_claim)
        goto out;
    rc = load_script(in, sha, &why);
    if (rc == JOBQ_OK)
        rc = run_script(in, &n, sha, &rights, &why);
    if (rc == JOBQ_EAUTH) {
        rights.refused = 1;
        snprintf(rights.first, sizeof(rights.first), "%.150s", why.msg);
        rc = JOBQ_OK;
    } else if (rc != JOBQ_OK) {
        error_set(err, rc, "%s", why.msg);
    }
out:
    keys_done(&n.keys);
    if (rc == JOBQ_OK)
        *out = rights;
    return rc;
}
