/* SPDX-License-Identifier: MIT */
/*
 * raw_drain: how fast one client of plain hiredis, nothing of jobq, can empty a stream through a
 * consumer group.
 *
 * raw_drain SOCKET STREAM COUNT BATCH del|trim
 * Each turn is one write: XACK of batch n, its XDEL (or XTRIM MINID behind it), and XREADGROUP of
 * batch n + 1. Prints "COUNT SECONDS"; fails unless exactly COUNT entries came and none is left.
 */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCH_MAX 1024
#define ID_SIZE 44

struct batch {
    size_t n;
    char ids[BATCH_MAX][ID_SIZE];
};

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static redisReply *next_reply(redisContext *c)
{
    redisReply *r = NULL;
    if (redisGetReply(c, (void **)&r) != REDIS_OK || r->type == REDIS_REPLY_ERROR) {
        fprintf(stderr, "raw_drain: %s\n", r != NULL ? r->str : c->errstr);
        exit(1);
    }
    return r;
}

static void append_acks(redisContext *c, const char *stream, const struct batch *b, int trim)
{
    const char *words[BATCH_MAX + 3] = {"XACK", stream, "g"};
    for (size_t i = 0; i < b->n; i++)
        words[3 + i] = b->ids[i];
    redisAppendCommandArgv(c, (int)b->n + 3, words, NULL);
    if (trim) {
        /* Everything up to the last id read is done: one client, in order. */
        unsigned long long ms = 0, seq = 0;
        sscanf(b->ids[b->n - 1], "%llu-%llu", &ms, &seq);
        redisAppendCommand(c, "XTRIM %s MINID = %llu-%llu", stream, ms, seq + 1);
    } else {
        words[1] = "XDEL";
        words[2] = stream;
        redisAppendCommandArgv(c, (int)b->n + 2, words + 1, NULL);
    }
}

/* The reply of XREADGROUP: [[stream, [[id, [field, value…]]…]]], or nil. */
static void take_batch(const redisReply *r, struct batch *out)
{
    out->n = 0;
    if (r->type != REDIS_REPLY_ARRAY || r->elements == 0)
        return;
    const redisReply *entries = r->element[0]->element[1];
    for (size_t i = 0; i < entries->elements && i < BATCH_MAX; i++) {
        const redisReply *id = entries->element[i]->element[0];
        snprintf(out->ids[out->n++], ID_SIZE, "%s", id->str);
    }
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: raw_drain SOCKET STREAM COUNT BATCH del|trim\n");
        return 2;
    }
    const char *stream = argv[2];
    long count = strtol(argv[3], NULL, 10);
    long size = strtol(argv[4], NULL, 10);
    int trim = strcmp(argv[5], "trim") == 0;
    redisContext *c = redisConnectUnix(argv[1]);
    if (c == NULL || c->err != 0 || size < 1 || size > BATCH_MAX) {
        fprintf(stderr, "raw_drain: cannot connect to %s\n", argv[1]);
        return 69;
    }
    freeReplyObject(redisCommand(c, "XGROUP CREATE %s g 0 MKSTREAM", stream));

    static struct batch b;
    long taken = 0;
    double begin = seconds_now();
    for (;;) {
        int acks = b.n > 0;
        if (acks)
            append_acks(c, stream, &b, trim);
        redisAppendCommand(c, "XREADGROUP GROUP g c COUNT %ld STREAMS %s >", size, stream);
        if (acks) {
            freeReplyObject(next_reply(c));
            freeReplyObject(next_reply(c));
        }
        redisReply *r = next_reply(c);
        take_batch(r, &b);
        freeReplyObject(r);
        if (b.n == 0)
            break;
        taken += (long)b.n;
    }
    double seconds = seconds_now() - begin;
    redisReply *left = redisCommand(c, "XLEN %s", stream);
    if (left == NULL || left->integer != 0 || taken != count) {
        fprintf(stderr, "raw_drain: took %ld of %ld, left %lld\n", taken, count,
                left != NULL ? left->integer : -1LL);
        return 1;
    }
    freeReplyObject(left);
    printf("%ld %.6f\n", taken, seconds);
    redisFree(c);
    return 0;
}
