/* SPDX-License-Identifier: MIT */
/*
 * mini_redis: see mini_redis.h.
 */
#include "tests/unit/client/mini_redis.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "tests/support/support.h"
#include "tests/unit/broker/fake_redis.h"

struct talk {
    struct mini *m;
    struct mini_link link; /* counts down to_job_times */
    int fd;
    size_t replied;
    bool over;
};

static void reply(struct talk *t, const char *text)
{
    size_t len = strlen(text);

    if (t->link.cut_reply != 0) {
        size_t left = t->link.cut_reply - 1 - t->replied;
        if (len > left)
            t->over = true;
        len = MIN(len, left);
    }
    t->replied += len;
    fake_write(t->fd, text, len);
}

static void note(struct mini *m, char letter)
{
    size_t len = strlen(m->order);

    if (len + 1 == sizeof(m->order))
        memmove(m->order, m->order + 1, len--);
    m->order[len] = letter;
    m->order[len + 1] = '\0';
}

/* The id stands in h at 6. */
static void store(struct mini *m, const redisReply *stream, const redisReply *h)
{
    if (m->stored == MINI_STORED || h->len < 22)
        fail_test("mini Redis: cannot store");
    memcpy(m->ids[m->stored].bytes, h->str + 6, 16);
    if (m->stored < 4)
        snprintf(m->streams[m->stored], sizeof(m->streams[0]), "%s", stream->str);
    m->stored++;
}

static bool is_refused(struct talk *t)
{
    if (t->link.to_job == NULL)
        return false;
    reply(t, t->link.to_job);
    if (t->link.to_job_times > 0 && --t->link.to_job_times == 0)
        t->link.to_job = NULL;
    return true;
}

static void run_job(struct talk *t, const redisReply *c, bool script)
{
    note(t->m, script ? 'S' : 'X');
    if (is_refused(t))
        return;
    if (script && !t->m->has_script) {
        reply(t, "-NOSCRIPT No matching script. Please use EVAL.\r\n");
        return;
    }
    store(t->m, c->element[script ? 3 : 1],
          c->element[script ? 7 + (c->element[2]->str[0] == '4') : 4]);
    reply(t, script ? "*1\r\n$2\r\nOK\r\n" : "$15\r\n1718000000000-0\r\n");
    t->over = t->over || t->link.close_when_idle;
}

static void run_load(struct talk *t)
{
    note(t->m, 'L');
    t->m->loads++;
    if (t->link.to_load != NULL) {
        reply(t, t->link.to_load);
        return;
    }
    t->m->has_script = !t->link.forgets_script;
    reply(t, "$4\r\nsha1\r\n");
}

static void run(struct talk *t, const redisReply *c)
{
    const char *word = c->element[0]->str;

    if (strcmp(word, "HSETNX") == 0) {
        note(t->m, 'R');
        t->m->registrations++;
        reply(t, t->link.to_register != NULL ? t->link.to_register : ":1\r\n");
    } else if (strcmp(word, "HGET") == 0) {
        note(t->m, 'P');
        reply(t, t->link.to_partitions != NULL ? t->link.to_partitions : "$1\r\n1\r\n");
    } else if (strcmp(word, "XADD") == 0) {
        run_job(t, c, false);
    } else if (strcmp(word, "EVALSHA") == 0) {
        t->m->script_calls++;
        run_job(t, c, true);
    } else if (strcmp(word, "SCRIPT") == 0) {
        run_load(t);
    } else {
        fail_test("mini Redis: %s", word);
    }
}

static void run_whole_commands(struct talk *t, redisReader *reader)
{
    void *c = NULL;

    while (!t->over && redisReaderGetReply(reader, &c) == REDIS_OK && c != NULL) {
        run(t, c);
        freeReplyObject(c);
        c = NULL;
    }
}

static void serve(void *ctx, int fd, int number)
{
    struct mini *m = ctx;
    struct talk t = {.m = m, .fd = fd, .link = m->links[MIN(number, m->link_count - 1)]};
    redisReader *reader;
    size_t got = 0;
    char bytes[16384];

    m->connections = number + 1;
    if (t.link.last)
        fake_stop_listening(m->fake);
    if (!fake_greet(fd))
        return;
    t.over = t.link.cut_request == 1;
    reader = redisReaderCreate();
    while (!t.over) {
        size_t want = sizeof(bytes);
        if (t.link.cut_request != 0)
            want = MIN(want, t.link.cut_request - 1 - got);
        ssize_t n = recv(fd, bytes, want, 0);
        if (n <= 0)
            break;
        got += (size_t)n;
        redisReaderFeed(reader, bytes, (size_t)n);
        run_whole_commands(&t, reader);
        if (t.link.cut_request != 0 && got == t.link.cut_request - 1)
            t.over = true;
    }
    redisReaderFree(reader);
    if (!t.link.close_when_idle)
        fake_reset(fd);
}

const char *mini_start(struct mini *m)
{
    if (m->link_count == 0)
        m->link_count = 1;
    m->fake = fake_start(false, serve, m);
    return fake_url(m->fake);
}

void mini_stop(struct mini *m)
{
    fake_stop(m->fake);
}

size_t mini_count(const struct mini *m, const jobq_id *id)
{
    size_t count = 0;

    for (size_t i = 0; i < m->stored; i++)
        count += memcmp(m->ids[i].bytes, id->bytes, 16) == 0;
    return count;
}
