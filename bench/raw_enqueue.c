/* SPDX-License-Identifier: MIT */
/*
 * raw_enqueue: what Redis itself can take: pipelined XADD of a 100-byte field by plain hiredis,
 * nothing of jobq.
 *
 * raw_enqueue SOCKET STREAM COUNT DEPTH
 * Prints "COUNT SECONDS". DEPTH commands are sent in one write, then their answers are read.
 */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAYLOAD_BYTES 100

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fill_payload(char payload[PAYLOAD_BYTES])
{
    memset(payload, 'x', PAYLOAD_BYTES);
    memcpy(payload, "{\"k\":\"", 6);
    memcpy(payload + PAYLOAD_BYTES - 2, "\"}", 2);
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: raw_enqueue SOCKET STREAM COUNT DEPTH\n");
        return 2;
    }
    long count = strtol(argv[3], NULL, 10);
    long depth = strtol(argv[4], NULL, 10);
    char payload[PAYLOAD_BYTES];
    fill_payload(payload);
    redisContext *c = redisConnectUnix(argv[1]);
    if (c == NULL || c->err != 0 || count < 1 || depth < 1) {
        fprintf(stderr, "raw_enqueue: cannot connect to %s\n", argv[1]);
        return 69;
    }
    const char *words[] = {"XADD", argv[2], "*", "p", payload};
    const size_t lengths[] = {4, strlen(argv[2]), 1, 1, PAYLOAD_BYTES};

    double begin = seconds_now();
    for (long sent = 0; sent < count;) {
        long n = count - sent < depth ? count - sent : depth;
        for (long i = 0; i < n; i++)
            redisAppendCommandArgv(c, 5, words, lengths);
        for (long i = 0; i < n; i++) {
            redisReply *r = NULL;
            if (redisGetReply(c, (void **)&r) != REDIS_OK || r->type != REDIS_REPLY_STRING) {
                fprintf(stderr, "raw_enqueue: XADD failed: %s\n", r != NULL ? r->str : c->errstr);
                return 1;
            }
            freeReplyObject(r);
        }
        sent += n;
    }
    printf("%ld %.6f\n", count, seconds_now() - begin);
    redisFree(c);
    return 0;
}
