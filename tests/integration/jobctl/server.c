/* SPDX-License-Identifier: MIT */
/* server: see server.h. */
#include "tests/integration/jobctl/server.h"

#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/jobctl/proxy.h"

#define WAIT_MS 30000

struct redis *redis;

void start_for_operator(void)
{
    redis = redis_start(NULL);
    setenv("JOBQ_REDIS", redis->operator_url, 1);
}

void start_for_viewer(void)
{
    redis = redis_start(NULL);
    setenv("JOBQ_REDIS", redis->viewer_url, 1);
}

void stop_unrefused(void)
{
    redis_check_refused(redis);
    stop();
}

void stop(void)
{
    redis_stop(redis);
}

void done(struct redisReply *r)
{
    cr_assert(r->type != REDIS_REPLY_ERROR, "%s", r->str);
    freeReplyObject(r);
}

long long count(const char *stream)
{
    return redis_int(redis, "XLEN jobq:{mail:0}:%s", stream);
}

static bool stands_in_script(void *ctx)
{
    (void)ctx;
    char *clients = redis_str(redis, "CLIENT LIST");
    bool stands = false;
    for (char *rest = clients, *line; !stands && (line = strsep(&rest, "\n")) != NULL;)
        stands = strstr(line, " name=jobctl ") != NULL && strstr(line, " cmd=evalsha ") != NULL;
    free(clients);
    return stands;
}

void wait_in_script(void)
{
    cr_assert(wait_until(patience_ms(WAIT_MS), stands_in_script, NULL), "no jobctl in a script");
}

static bool hears(void *channel)
{
    return is_heard(channel);
}

void wait_heard(const char *channel)
{
    cr_assert(wait_until(patience_ms(WAIT_MS), hears, (void *)(uintptr_t)channel),
              "nobody listens to %s", channel);
}

bool is_heard(const char *channel)
{
    struct redisReply *r = redis_do(redis, "PUBSUB NUMSUB %s", channel);
    bool heard = r->type == REDIS_REPLY_ARRAY && r->elements == 2 && r->element[1]->integer > 0;
    freeReplyObject(r);
    return heard;
}

const char *url_cut_at(const char *text)
{
    static struct proxy cutter;
    cutter.listen = strdup(fmt("%s/cutter", tmp_dir()));
    cutter.target = redis->socket;
    cutter.cut_back_at = text;
    proxy_start(&cutter);
    return fmt("unix://%s", cutter.listen);
}
