/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "base/mem.h"
#include "broker/keys.h"

Test(keys, spells_every_key_of_a_partition)
{
    struct shard_keys k;
    char out[KEYS_MAX];

    cr_assert_eq(keys_init(&k, NULL, "mail.out", 12, NULL), JOBQ_OK);
    cr_assert_str_eq(k.queue, "mail.out");
    cr_assert_eq(k.partition, 12u);
    cr_assert_str_eq(k.base, "jobq:{mail.out:12}");
    cr_assert_str_eq(k.lanes[LANE_RECOVERED], "jobq:{mail.out:12}:ready:recovered");
    cr_assert_str_eq(k.lanes[LANE_HIGH], "jobq:{mail.out:12}:ready:high");
    cr_assert_str_eq(k.lanes[LANE_NORMAL], "jobq:{mail.out:12}:ready:normal");
    cr_assert_str_eq(k.lanes[LANE_LOW], "jobq:{mail.out:12}:ready:low");
    cr_assert_str_eq(k.later, "jobq:{mail.out:12}:later");
    cr_assert_str_eq(k.held, "jobq:{mail.out:12}:held");
    cr_assert_str_eq(k.alive, "jobq:{mail.out:12}:alive");
    cr_assert_str_eq(k.dead, "jobq:{mail.out:12}:dead");
    cr_assert_str_eq(k.parked, "jobq:{mail.out:12}:parked");
    cr_assert_str_eq(k.control, "jobq:{mail.out:12}:control");
    cr_assert_str_eq(k.types, "jobq:{mail.out:12}:types");
    cr_assert_str_eq(k.cancelled, "jobq:{mail.out:12}:cancelled");
    cr_assert_str_eq(k.wake, "jobq:{mail.out:12}:wake");
    cr_assert_str_eq(k.info, "jobq:{mail.out:12}:info");
    cr_assert_str_eq(k.events, "jobq:{mail.out:12}:events");
    cr_assert_eq(keys_stats(&k, 29000000, out, sizeof(out)),
                 strlen("jobq:{mail.out:12}:stats:29000000"));
    cr_assert_str_eq(out, "jobq:{mail.out:12}:stats:29000000");
    cr_assert_eq(keys_unique(&k, "a\0}b", 4, out, sizeof(out)),
                 strlen("jobq:{mail.out:12}:unique:") + 4);
    cr_assert_arr_eq(out, "jobq:{mail.out:12}:unique:a\0}b",
                     strlen("jobq:{mail.out:12}:unique:") + 5);
    keys_queues(NULL, out, sizeof(out));
    cr_assert_str_eq(out, "jobq:queues");
    keys_queues("shop", out, sizeof(out));
    cr_assert_str_eq(out, "shop:queues");
    keys_node("shop", "host-1-2", out, sizeof(out));
    cr_assert_str_eq(out, "shop:node:host-1-2");
    keys_done(&k);
    keys_done(&k);
}

Test(keys, has_room_for_the_longest_names)
{
    struct shard_keys k;
    char name[JOBQ_NAME_MAX + 2], unique[JOBQ_UNIQUE_KEY_MAX], out[KEYS_MAX];

    memset(name, 'q', sizeof(name));
    memset(unique, 'u', sizeof(unique));
    name[JOBQ_NAME_MAX] = '\0';
    cr_assert_eq(keys_init(&k, name, name, KEYS_PARTITIONS_MAX - 1, NULL), JOBQ_OK);
    size_t len = keys_unique(&k, unique, sizeof(unique), out, sizeof(out));
    cr_assert_eq(len, strlen(out));
    cr_assert_eq(len, strlen(k.base) + strlen(":unique:") + sizeof(unique));
    cr_assert_eq(k.cancelled[strlen(k.cancelled) - 1], 'd');
    keys_done(&k);
}

Test(keys, refuses_names_that_would_break_the_hash_tag)
{
    struct shard_keys k;
    jobq_err err;
    char name[JOBQ_NAME_MAX + 2];

    memset(name, 'q', sizeof(name));
    name[JOBQ_NAME_MAX + 1] = '\0';
    cr_assert_eq(keys_init(&k, NULL, "a}b", 0, &err), JOBQ_EINVAL);
    cr_assert_eq(keys_init(&k, NULL, "", 0, &err), JOBQ_EINVAL);
    cr_assert_eq(keys_init(&k, NULL, name, 0, &err), JOBQ_EINVAL);
    cr_assert_eq(keys_init(&k, "{x}", "a", 0, &err), JOBQ_EINVAL);
    cr_assert_eq(keys_init(&k, NULL, "a", KEYS_PARTITIONS_MAX, &err), JOBQ_EINVAL);
}

Test(keys, says_when_memory_ends)
{
    struct shard_keys k;

    mem_fail_at(1, 0);
    int code = keys_init(&k, NULL, "a", 0, NULL);
    mem_fail_at(0, 0);
    cr_assert_eq(code, JOBQ_ENOMEM);
}

Test(keys, computes_the_crc_of_redis_cluster)
{
    cr_assert_eq(keys_crc16("123456789", 9), 0x31c3);
    cr_assert_eq(keys_crc16("", 0), 0);
    cr_assert_eq(keys_crc16("foo", 3) % 16384, 12182);
    cr_assert_eq(keys_crc16("somekey", 7) % 16384, 11058);
}

Test(keys, spreads_by_unique_key_else_by_id)
{
    jobq_id a, b;
    unsigned seen[4] = {0};

    for (int i = 0; i < 400; i++) {
        cr_assert_eq(jobq_id_new(&a, NULL), JOBQ_OK);
        unsigned p = keys_partition(&a, NULL, 0, 4);
        cr_assert_lt(p, 4u);
        cr_assert_eq(p, keys_crc16(a.bytes, 16) % 4);
        seen[p]++;
    }
    for (int i = 0; i < 4; i++)
        cr_assert_gt(seen[i], 50u);
    cr_assert_eq(jobq_id_new(&b, NULL), JOBQ_OK);
    cr_assert_eq(keys_partition(&a, "user:7", 6, 16), keys_partition(&b, "user:7", 6, 16));
    cr_assert_eq(keys_partition(&a, "user:7", 6, 16), keys_crc16("user:7", 6) % 16u);
    cr_assert_eq(keys_partition(&a, "user:7", 6, 1), 0u);
}

Test(keys, names_lanes_and_finds_a_jobs_own)
{
    static const char *const names[] = {"recovered", "high", "normal", "low"};

    cr_assert_eq(ARRAY_LEN(names), (size_t)LANE_COUNT);
    for (unsigned i = 0; i < LANE_COUNT; i++)
        cr_assert_str_eq(keys_lane_name((enum lane)i), names[i]);
    cr_assert_eq(keys_lane_of_flags(JOBQ_LANE_NORMAL), LANE_NORMAL);
    cr_assert_eq(keys_lane_of_flags(JOBQ_LANE_HIGH), LANE_HIGH);
    cr_assert_eq(keys_lane_of_flags(JOBQ_LANE_LOW | 0xfc), LANE_LOW);
    cr_assert_eq(keys_lane_of_flags(3), LANE_NORMAL);
}
