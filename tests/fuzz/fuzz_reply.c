/* SPDX-License-Identifier: MIT */
/*
 * fuzz_reply: any bytes as what Redis answers, given to every parser of broker/claim.h. What they
 * give lies within the reply; nothing else is asked of a reply that makes no sense.
 */
#include <hiredis/hiredis.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/claim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t sink;

static void touch(const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        sink ^= (uint8_t)bytes[i];
}

static void see_entry(void *ctx, const struct claim_entry *e)
{
    struct job_header h;

    (void)ctx;
    touch(e->h, e->h_len);
    touch(e->p, e->p_len);
    if (e->h && codec_decode(e->h, e->h_len, &h, NULL) == CODEC_OK)
        touch(h.type, h.type_len);
}

static void see_id(void *ctx, const struct entry_id *id)
{
    (void)ctx;
    sink ^= (uint8_t)id->seq;
}

static void see_beat(const struct redisReply *r, jobq_err *err)
{
    struct claim_beat beat;
    struct claim_peer peer;

    if (claim_beat_reply(r, &beat, err) != JOBQ_OK)
        return;
    for (size_t i = 0; i < beat.peers; i++)
        if (claim_beat_peer(&beat, i, &peer))
            touch(peer.name, peer.len + 1); /* and it ends with a NUL */
}

static void see(const struct redisReply *r, const struct shard_keys *k)
{
    enum claim_fate fates[3];
    struct claim_entry entry;
    struct claim_move move;
    jobq_err err;
    int64_t n;
    bool b;

    see_beat(r, &err);
    (void)!claim_register_reply(r, &n, &err);
    (void)!claim_leave_reply(r, &b, &n, &err);
    (void)!claim_ack_reply(r, &n, &err);
    for (size_t i = 0; i <= 3; i++)
        (void)!claim_fail_reply(r, fates, i, &err);
    (void)!claim_move_reply(r, &move, &err);
    (void)!claim_fence_reply(r, &err);
    (void)!claim_reap_reply(r, &b, &n, &err);
    (void)!claim_sweep_reply(r, &n, &err);
    (void)!claim_unpark_reply(r, &n, &err);
    (void)!claim_read_reply(r, &k, 1, see_entry, NULL, &err);
    (void)!claim_pending_reply(r, see_id, NULL, &err);
    (void)!claim_parked_reply(r, see_entry, NULL, &err);
    if (claim_fetch_reply(r, LANE_LOW, &entry, &b, &err) == JOBQ_OK && b)
        see_entry(NULL, &entry);
}

/* hiredis allocates for as many elements as are announced: that is not what is tried here. */
static bool announces_too_much(const uint8_t *data, size_t size)
{
    size_t digits = 0;
    bool counting = false;

    for (size_t i = 0; i < size; i++) {
        if (counting && data[i] >= '0' && data[i] <= '9') {
            if (++digits > 4)
                return true;
            continue;
        }
        counting = data[i] == '*';
        digits = 0;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct shard_keys k;
    redisReader *reader;
    void *reply = NULL;

    if (announces_too_much(data, size))
        return 0;
    reader = redisReaderCreate();
    if (!k.base && keys_init(&k, NULL, "q", 0, NULL) != JOBQ_OK)
        abort();
    if (!reader)
        abort();
    redisReaderFeed(reader, (const char *)data, size);
    while (redisReaderGetReply(reader, &reply) == REDIS_OK && reply) {
        see(reply, &k);
        freeReplyObject(reply);
        reply = NULL;
    }
    redisReaderFree(reader);
    return 0;
}
