/* SPDX-License-Identifier: MIT */
/*
 * raw_latency: the shortest way there is through a stream: from before XADD in one process to the
 * return of a blocked XREADGROUP in another, by plain hiredis, nothing of jobq. One entry at a
 * time, so the reader is always blocked.
 *
 * raw_latency SOCKET STREAM COUNT PACE_MS
 * Prints one latency per line, in microseconds. PACE_MS is the pause between two entries.
 */
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void pause_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

static redisContext *connect_or_exit(const char *socket)
{
    redisContext *c = redisConnectUnix(socket);
    if (c == NULL || c->err != 0) {
        fprintf(stderr, "raw_latency: cannot connect to %s\n", socket);
        exit(69);
    }
    return c;
}

/* The reader: blocks, stamps the moment of return into its slot, then acknowledges and deletes. */
static void read_all(const char *socket, const char *stream, long count, volatile int64_t *arrived)
{
    redisContext *c = connect_or_exit(socket);
    for (long i = 0; i < count;) {
        redisReply *r =
            redisCommand(c, "XREADGROUP GROUP g c COUNT 1 BLOCK 1000 STREAMS %s >", stream);
        int64_t now = now_ns();
        if (r == NULL || r->type == REDIS_REPLY_ERROR) {
            fprintf(stderr, "raw_latency: %s\n", r != NULL ? r->str : c->errstr);
            exit(1);
        }
        if (r->type == REDIS_REPLY_ARRAY) {
            const char *id = r->element[0]->element[1]->element[0]->element[0]->str;
            arrived[i++] = now;
            redisAppendCommand(c, "XACK %s g %s", stream, id);
            redisAppendCommand(c, "XDEL %s %s", stream, id);
            for (int k = 0; k < 2; k++) {
                redisReply *ack = NULL;
                if (redisGetReply(c, (void **)&ack) != REDIS_OK)
                    exit(1);
                freeReplyObject(ack);
            }
        }
        freeReplyObject(r);
    }
    exit(0);
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: raw_latency SOCKET STREAM COUNT PACE_MS\n");
        return 2;
    }
    const char *stream = argv[2];
    long count = strtol(argv[3], NULL, 10);
    long pace = strtol(argv[4], NULL, 10);
    redisContext *c = connect_or_exit(argv[1]);
    freeReplyObject(redisCommand(c, "XGROUP CREATE %s g 0 MKSTREAM", stream));
    volatile int64_t *arrived = mmap(NULL, (size_t)count * sizeof(*arrived), PROT_READ | PROT_WRITE,
                                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (count < 1 || arrived == MAP_FAILED)
        return 1;
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        read_all(argv[1], stream, count, arrived);
    }
    char payload[101];
    memset(payload, 'x', 100);
    payload[100] = '\0';
    for (long i = 0; i < count; i++) {
        pause_ms(pace);
        int64_t sent = now_ns();
        redisReply *r = redisCommand(c, "XADD %s * p %s", stream, payload);
        if (r == NULL || r->type != REDIS_REPLY_STRING)
            return 1;
        freeReplyObject(r);
        while (arrived[i] == 0) {
            if (waitpid(child, NULL, WNOHANG) == child && arrived[i] == 0)
                return 1;
            pause_ms(1);
        }
        printf("%.1f\n", (double)(arrived[i] - sent) / 1e3);
    }
    waitpid(child, NULL, 0);
    return 0;
}
