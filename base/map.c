/* SPDX-License-Identifier: MIT */
/*
 * map: a dense array of entries, and an open-addressed table (linear probing) of their indexes.
 *
 * Keys of up to SMALL_KEY bytes (ids, stream entry ids) live inside their entry, so a put or remove
 * of one allocates nothing once the map has grown. Removal moves the last entry into the hole;
 * iteration runs from the last entry to the first, so removing the entry just given disturbs
 * nothing. One owner, one thread.
 */
#include "base/map.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <jobq/error.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/mem.h"

#define SMALL_KEY 32
#define FIRST_SLOTS 16u
#define MAX_SLOTS (1u << 30)

struct entry {
    void *value;
    uint32_t hash;
    uint32_t len;
    union {
        char small[SMALL_KEY];
        char *big;
    } key;
};

struct slot {
    uint32_t hash;
    uint32_t ref; /* index of the entry + 1; 0: free */
};

struct map {
    struct entry *entries;
    struct slot *slots;
    uint32_t count;
    uint32_t entry_cap;
    uint32_t slot_count; /* power of two */
    uint64_t seed[2];
};

static const char *entry_key(const struct entry *e)
{
    return e->len <= SMALL_KEY ? e->key.small : e->key.big;
}

static uint32_t hash_key(const struct map *m, const void *key, size_t len)
{
    return (uint32_t)hash_sip13(key, len, m->seed[0], m->seed[1]);
}

/* The slot that holds the key, or the free one where its search ended. */
static uint32_t find_slot(const struct map *m, uint32_t hash, const void *key, size_t len)
{
    uint32_t mask = m->slot_count - 1;
    for (uint32_t i = hash & mask;; i = (i + 1) & mask) {
        const struct slot *s = &m->slots[i];
        if (s->ref == 0)
            return i;
        if (s->hash != hash)
            continue;
        const struct entry *e = &m->entries[s->ref - 1];
        if (e->len == len && (len == 0 || memcmp(entry_key(e), key, len) == 0))
            return i;
    }
}

struct map *map_new(void)
{
    struct map *m = mem_zalloc(1, sizeof(*m));
    if (!m)
        return NULL;
    m->slots = mem_zalloc(FIRST_SLOTS, sizeof(*m->slots));
    if (!m->slots) {
        mem_free(m);
        return NULL;
    }
    m->slot_count = FIRST_SLOTS;
    if (id_random(m->seed, sizeof(m->seed)) != JOBQ_OK) {
        /* Weaker against chosen keys, still correct. */
        m->seed[0] = (uint64_t)clock_mono_us();
        m->seed[1] = (uint64_t)(uintptr_t)m;
    }
    return m;
}

void map_free(struct map *m)
{
    if (!m)
        return;
    for (uint32_t i = 0; i < m->count; i++) {
        if (m->entries[i].len > SMALL_KEY)
            mem_free(m->entries[i].key.big);
    }
    mem_free(m->entries);
    mem_free(m->slots);
    mem_free(m);
}

static bool grow_slots(struct map *m)
{
    if (m->slot_count >= MAX_SLOTS)
        return false;
    uint32_t count = m->slot_count * 2;
    struct slot *slots = mem_zalloc(count, sizeof(*slots));
    if (!slots)
        return false;
    for (uint32_t n = 0; n < m->count; n++) {
        uint32_t hash = m->entries[n].hash;
        uint32_t i = hash & (count - 1);
        while (slots[i].ref != 0)
            i = (i + 1) & (count - 1);
        slots[i] = (struct slot){hash, n + 1};
    }
    mem_free(m->slots);
    m->slots = slots;
    m->slot_count = count;
    return true;
}

/* Room for one entry more; the table stays at most three quarters full. */
static bool make_room(struct map *m)
{
    if (m->count == m->entry_cap) {
        uint32_t cap = MAX(m->entry_cap * 2, FIRST_SLOTS / 2);
        struct entry *entries = mem_realloc(m->entries, (size_t)cap * sizeof(*entries));
        if (!entries)
            return false;
        m->entries = entries;
        m->entry_cap = cap;
    }
    if (m->count + 1 > m->slot_count / 4 * 3)
        return grow_slots(m);
    return true;
}

int map_put(struct map *m, const void *key, size_t len, void *value)
{
    ASSERT(value);
    if (len >= UINT32_MAX)
        return JOBQ_ENOMEM;
    uint32_t hash = hash_key(m, key, len);
    uint32_t i = find_slot(m, hash, key, len);
    if (m->slots[i].ref != 0) {
        m->entries[m->slots[i].ref - 1].value = value;
        return JOBQ_OK;
    }
    struct entry e = {.value = value, .hash = hash, .len = (uint32_t)len};
    if (!make_room(m))
        return JOBQ_ENOMEM;
    if (len > SMALL_KEY) {
        e.key.big = mem_strndup(key, len);
        if (!e.key.big)
            return JOBQ_ENOMEM;
    } else if (len > 0) {
        memcpy(e.key.small, key, len);
    }
    i = find_slot(m, hash, key, len); /* the table may have grown */
    m->entries[m->count] = e;
    m->count++;
    m->slots[i] = (struct slot){hash, m->count};
    return JOBQ_OK;
}

void *map_get(const struct map *m, const void *key, size_t len)
{
    uint32_t ref = m->slots[find_slot(m, hash_key(m, key, len), key, len)].ref;
    return ref != 0 ? m->entries[ref - 1].value : NULL;
}

/* Frees slot hole by pulling later slots of the same run back, so that no search meets a gap. */
static void close_hole(struct map *m, uint32_t hole)
{
    uint32_t mask = m->slot_count - 1;
    for (uint32_t i = (hole + 1) & mask; m->slots[i].ref != 0; i = (i + 1) & mask) {
        uint32_t home = m->slots[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole] = (struct slot){0, 0};
}

void *map_remove(struct map *m, const void *key, size_t len)
{
    uint32_t i = find_slot(m, hash_key(m, key, len), key, len);
    uint32_t ref = m->slots[i].ref;
    if (ref == 0)
        return NULL;
    struct entry *e = &m->entries[ref - 1];
    void *value = e->value;
    if (e->len > SMALL_KEY)
        mem_free(e->key.big);
    close_hole(m, i);
    if (ref != m->count) {
        /* The last entry moves here: point its slot to the new place. */
        uint32_t mask = m->slot_count - 1;
        *e = m->entries[m->count - 1];
        uint32_t s = e->hash & mask;
        while (m->slots[s].ref != m->count)
            s = (s + 1) & mask;
        m->slots[s].ref = ref;
    }
    m->count--;
    return value;
}

size_t map_size(const struct map *m)
{
    return m->count;
}

void *map_next(const struct map *m, size_t *cursor, const void **key, size_t *len)
{
    /* 0: begin; otherwise one more than the number of entries still to be given. */
    size_t left = *cursor == 0 ? m->count : *cursor - 1;
    if (left == 0) {
        *cursor = 1;
        return NULL;
    }
    *cursor = left;
    const struct entry *e = &m->entries[left - 1];
    if (key)
        *key = entry_key(e);
    if (len)
        *len = e->len;
    return e->value;
}
