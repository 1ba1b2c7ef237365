/* SPDX-License-Identifier: MIT */
/*
 * keys: see keys.h. All names of a partition live in one block, which base points to.
 */
#include "broker/keys.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

static const char *const lane_names[LANE_COUNT] = {
    [LANE_RECOVERED] = "recovered",
    [LANE_HIGH] = "high",
    [LANE_NORMAL] = "normal",
    [LANE_LOW] = "low",
};

const char *keys_lane_name(enum lane lane)
{
    ASSERT((unsigned)lane < LANE_COUNT);
    return lane_names[lane];
}

enum lane keys_lane_of_flags(uint8_t flags)
{
    switch (flags & 0x03) {
    case JOBQ_LANE_HIGH:
        return LANE_HIGH;
    case JOBQ_LANE_LOW:
        return LANE_LOW;
    default: /* normal, and the value nobody writes */
        return LANE_NORMAL;
    }
}

/* Copies base and suffix to *at, moves *at behind the NUL, returns where it stands. */
static char *put_key(char **at, const char *base, const char *suffix)
{
    char *start = *at;
    size_t base_len = strlen(base);
    size_t suffix_len = strlen(suffix);

    memcpy(start, base, base_len);
    memcpy(start + base_len, suffix, suffix_len + 1);
    *at = start + base_len + suffix_len + 1;
    return start;
}

static const char *prefix_or_default(const char *prefix)
{
    return prefix != NULL ? prefix : KEYS_PREFIX_DEFAULT;
}

int keys_init(struct shard_keys *k, const char *prefix, const char *queue, unsigned partition,
              jobq_err *err)
{
    static const char *const ready[LANE_COUNT] = {":ready:recovered", ":ready:high",
                                                  ":ready:normal", ":ready:low"};
    enum { NAMES = 1 + LANE_COUNT + 13, LONGEST_SUFFIX = 16 };
    char base[2 * JOBQ_NAME_MAX + 32];

    prefix = prefix_or_default(prefix);
    if (!text_is_name(prefix, strnlen(prefix, JOBQ_NAME_MAX + 1)))
        return error_set(err, JOBQ_EINVAL, "key prefix: not 1 to 64 of [a-z0-9_.:-]");
    if (!text_is_name(queue, strnlen(queue, JOBQ_NAME_MAX + 1)))
        return error_set(err, JOBQ_EINVAL, "queue: not 1 to 64 of [a-z0-9_.:-]");
    if (partition >= KEYS_PARTITIONS_MAX)
        return error_set(err, JOBQ_EINVAL, "partition %u: at most %d", partition,
                         KEYS_PARTITIONS_MAX - 1);
    int base_len = snprintf(base, sizeof(base), "%s:{%s:%u}", prefix, queue, partition);
    size_t room = NAMES * ((size_t)base_len + LONGEST_SUFFIX + 1);
    char *at = mem_alloc(room);
    if (at == NULL)
        return error_set(err, JOBQ_ENOMEM, "no memory for the keys of queue %s", queue);

    memset(k, 0, sizeof(*k));
    memcpy(k->queue, queue, strlen(queue) + 1);
    k->partition = partition;
    k->base = put_key(&at, base, "");
    for (unsigned i = 0; i < LANE_COUNT; i++)
        k->lanes[i] = put_key(&at, base, ready[i]);
    k->later = put_key(&at, base, ":later");
    k->held = put_key(&at, base, ":held");
    k->alive = put_key(&at, base, ":alive");
    k->dead = put_key(&at, base, ":dead");
    k->parked = put_key(&at, base, ":parked");
    k->control = put_key(&at, base, ":control");
    k->types = put_key(&at, base, ":types");
    k->info = put_key(&at, base, ":info");
    k->cancelled = put_key(&at, base, ":cancelled");
    k->audit = put_key(&at, base, ":audit");
    k->totals = put_key(&at, base, ":totals");
    k->wake = put_key(&at, base, ":wake");
    k->events = put_key(&at, base, ":events");
    ASSERT((size_t)(at - k->base) <= room);
    return JOBQ_OK;
}

void keys_done(struct shard_keys *k)
{
    mem_free(k->base);
    memset(k, 0, sizeof(*k));
}

static size_t checked_length(int written, size_t out_size)
{
    ASSERT(written >= 0 && (size_t)written < out_size);
    return (size_t)written;
}

size_t keys_stats(const struct shard_keys *k, int64_t minute, char *out, size_t out_size)
{
    return checked_length(snprintf(out, out_size, "%s:stats:%lld", k->base, (long long)minute),
                          out_size);
}

size_t keys_unique(const struct shard_keys *k, const char *unique, size_t len, char *out,
                   size_t out_size)
{
    size_t n = checked_length(snprintf(out, out_size, "%s:unique:", k->base), out_size);

    ASSERT(len < out_size - n);
    memcpy(out + n, unique, len);
    out[n + len] = '\0';
    return n + len;
}

size_t keys_queues(const char *prefix, char *out, size_t out_size)
{
    return checked_length(snprintf(out, out_size, "%s:queues", prefix_or_default(prefix)),
                          out_size);
}

size_t keys_node(const char *prefix, const char *incarnation, char *out, size_t out_size)
{
    return checked_length(
        snprintf(out, out_size, "%s:node:%s", prefix_or_default(prefix), incarnation), out_size);
}

uint16_t keys_crc16(const void *bytes, size_t len)
{
    /* Nibble table of x^16 + x^12 + x^5 + 1: at most 255 bytes a job, so small beats fast. */
    static const uint16_t table[16] = {0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5,
                                       0x60c6, 0x70e7, 0x8108, 0x9129, 0xa14a, 0xb16b,
                                       0xc18c, 0xd1ad, 0xe1ce, 0xf1ef};
    const uint8_t *b = bytes;
    uint16_t crc = 0;

    for (size_t i = 0; i < len; i++) {
        crc = (uint16_t)((crc << 4) ^ table[((crc >> 12) ^ (b[i] >> 4)) & 0x0f]);
        crc = (uint16_t)((crc << 4) ^ table[((crc >> 12) ^ b[i]) & 0x0f]);
    }
    return crc;
}

unsigned keys_partition(const jobq_id *id, const char *unique, size_t unique_len,
                        unsigned partitions)
{
    ASSERT(partitions > 0);
    if (partitions == 1)
        return 0;
    if (unique_len > 0)
        return keys_crc16(unique, unique_len) % partitions;
    return keys_crc16(id->bytes, sizeof(id->bytes)) % partitions;
}
