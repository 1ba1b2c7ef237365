/* SPDX-License-Identifier: MIT */
#include "tests/unit/worker/lease_told.h"

#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "broker/claim.h"

#define TOLD_MAX 64
#define HEAD     3 /* OK, time, counter */

struct reply_room {
    redisReply replies[HEAD + 2 * TOLD_MAX];
    redisReply *elements[HEAD + 2 * TOLD_MAX];
    char text[HEAD + 2 * TOLD_MAX][128];
    redisReply whole;
};

static void put_string(struct reply_room *room, size_t i, const char *text)
{
    snprintf(room->text[i], sizeof(room->text[i]), "%s", text);
    room->replies[i].type = REDIS_REPLY_STRING;
    room->replies[i].str = room->text[i];
    room->replies[i].len = strlen(room->text[i]);
}

static void put_integer(struct reply_room *room, size_t i, long long n)
{
    room->replies[i].type = REDIS_REPLY_INTEGER;
    room->replies[i].integer = n;
}

struct lease *new_lease(const char *name, int64_t lease_ms)
{
    struct lease *l = NULL;
    jobq_err err;
    cr_assert_eq(lease_new(PARTITION, name, lease_ms, &l, &err), JOBQ_OK, "%s", err.msg);
    return l;
}

int tell_beat(struct lease *l, const struct told *alive, size_t n, int64_t sent_ms, int64_t now_ms)
{
    struct reply_room room;
    struct claim_beat beat;
    jobq_err err;
    char number[32];
    memset(&room, 0, sizeof(room));
    cr_assert_leq(n, TOLD_MAX);
    put_string(&room, 0, "OK");
    put_integer(&room, 1, 1700000000000);
    put_integer(&room, 2, 1);
    for (size_t i = 0; i < n; i++) {
        put_string(&room, HEAD + 2 * i, alive[i].name);
        snprintf(number, sizeof(number), "%" PRId64, alive[i].counter);
        put_string(&room, HEAD + 2 * i + 1, alive[i].counter == FENCED ? "F" : number);
    }
    room.whole.type = REDIS_REPLY_ARRAY;
    room.whole.elements = HEAD + 2 * n;
    room.whole.element = room.elements;
    for (size_t i = 0; i < room.whole.elements; i++)
        room.elements[i] = &room.replies[i];
    cr_assert_eq(claim_beat_reply(&room.whole, &beat, &err), JOBQ_OK, "%s", err.msg);
    cr_assert_eq(beat.peers, n);
    return lease_beat_answered(l, &beat, sent_ms, now_ms, &err);
}

void tell_look(struct lease *l, const struct told *alive, size_t n, int64_t now_ms)
{
    jobq_err err;
    for (size_t i = 0; i < n; i++) {
        bool fenced = alive[i].counter == FENCED;
        int rc =
            lease_look_peer(l, alive[i].name, fenced, fenced ? -1 : alive[i].counter, now_ms, &err);
        cr_assert_eq(rc, JOBQ_OK);
    }
    lease_look_done(l, now_ms);
}
