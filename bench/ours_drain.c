/* SPDX-License-Identifier: MIT */
/*
 * ours_drain: watches jobd empty a queue that was filled before, and takes the time. It only looks,
 * 200 times a second.
 *
 * ours_drain SOCKET STREAM COUNT
 * Prints "JOBS SECONDS" from the moment 2 % were acknowledged (jobd has started) to that when all
 * were. So few that they are all acknowledged between two looks count from the former of these.
 */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STUCK_SECONDS 60.0

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static long long field(const redisReply *group, const char *name)
{
    for (size_t i = 0; i + 1 < group->elements; i += 2) {
        if (strcmp(group->element[i]->str, name) == 0)
            return group->element[i + 1]->integer;
    }
    return 0;
}

/* Entries delivered and not pending any more. */
static long long count_acknowledged(redisContext *c, const char *stream)
{
    long long n = 0;
    redisReply *r = redisCommand(c, "XINFO GROUPS %s", stream);
    if (r == NULL) {
        fprintf(stderr, "ours_drain: %s\n", c->errstr);
        exit(69);
    }
    if (r->type == REDIS_REPLY_ARRAY && r->elements == 1)
        n = field(r->element[0], "entries-read") - field(r->element[0], "pending");
    freeReplyObject(r);
    return n;
}

int main(int argc, char **argv)
{
    const struct timespec pause = {0, 5000000};
    if (argc != 4) {
        fprintf(stderr, "usage: ours_drain SOCKET STREAM COUNT\n");
        return 2;
    }
    long long count = strtoll(argv[3], NULL, 10), first = 0, done = 0;
    double begin = 0, looked = seconds_now(), moved = looked;
    redisContext *c = redisConnectUnix(argv[1]);
    if (c == NULL || c->err != 0)
        return 69;
    while (done < count) {
        long long before = done;
        done = count_acknowledged(c, argv[2]);
        double now = seconds_now();
        if (done != before)
            moved = now;
        if (first == 0 && done * 50 >= count) {
            first = done < count ? done : 0;
            begin = done < count ? now : looked;
        }
        looked = now;
        if (now - moved > STUCK_SECONDS) {
            fprintf(stderr, "ours_drain: stuck at %lld of %lld\n", done, count);
            return 1;
        }
        nanosleep(&pause, NULL);
    }
    printf("%lld %.6f\n", count - first, seconds_now() - begin);
    redisFree(c);
    return 0;
}
