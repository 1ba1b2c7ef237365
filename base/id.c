/* SPDX-License-Identifier: MIT */
/*
 * id: UUIDv7 from the wall clock and 74 random bits a thread keeps and counts up within a
 * millisecond.
 *
 * Each thread has its own generator, seeded by the kernel, so nothing is locked. A fork is noticed
 * by a page that the kernel empties in the child (MADV_WIPEONFORK): the child then seeds anew
 * instead of repeating its parent.
 */
#include "base/id.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/text.h"

#define LOW_BITS 62
#define LOW_MASK ((UINT64_C(1) << LOW_BITS) - 1)
#define HIGH_MASK UINT32_C(0xFFF)

struct generator {
    uint64_t era; /* fork_era() when it was seeded; 0: never */
    uint64_t state[4];
    struct id_counter last;
};

static _Thread_local struct generator own;

static pthread_once_t era_once = PTHREAD_ONCE_INIT;
static _Atomic uint64_t *era_page; /* NULL when the kernel has no such pages */
static _Atomic uint64_t last_era;

static void map_era_page(void)
{
    void *page =
        mmap(NULL, sizeof(*era_page), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return;
    if (madvise(page, sizeof(*era_page), MADV_WIPEONFORK) != 0) {
        munmap(page, sizeof(*era_page));
        return;
    }
    era_page = page;
}

/* A number, never 0, that a process does not share with the one it was forked from. */
static uint64_t fork_era(void)
{
    pthread_once(&era_once, map_era_page);
    if (!era_page)
        return (uint64_t)getpid();
    uint64_t era = atomic_load_explicit(era_page, memory_order_relaxed);
    if (__builtin_expect(era != 0, 1))
        return era;
    uint64_t mine = atomic_fetch_add(&last_era, 1) + 1;
    return atomic_compare_exchange_strong(era_page, &era, mine) ? mine : era;
}

int id_random(void *out, size_t len)
{
    uint8_t *p = out;
    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return JOBQ_EINTERNAL;
        p += n;
        len -= (size_t)n;
    }
    return JOBQ_OK;
}

static inline uint64_t rotate_left(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

/* xoshiro256** by Blackman and Vigna. */
static uint64_t next_random(struct generator *g)
{
    uint64_t *s = g->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

static void start_counting(struct generator *g, int64_t time_ms)
{
    g->last.time_ms = time_ms;
    g->last.high = (uint32_t)next_random(g) & HIGH_MASK;
    g->last.low = next_random(g) & LOW_MASK;
}

/* This thread's generator, seeded for this process; NULL when the kernel gives no random bytes. */
static struct generator *seeded_generator(void)
{
    struct generator *g = &own;
    uint64_t era = fork_era();
    if (__builtin_expect(g->era == era, 1))
        return g;
    uint64_t state[4];
    if (id_random(state, sizeof(state)) != JOBQ_OK)
        return NULL;
    if ((state[0] | state[1] | state[2] | state[3]) == 0)
        state[0] = 1;
    /* The time is kept: a child's ids do not fall behind those its parent made in it. */
    memcpy(g->state, state, sizeof(state));
    g->era = era;
    start_counting(g, g->last.time_ms);
    return g;
}

void id_counter_add(struct id_counter *c, uint64_t step)
{
    c->low += step;
    if (c->low > LOW_MASK) {
        c->low &= LOW_MASK;
        c->high++;
    }
    if (c->high > HIGH_MASK) {
        c->high = 0;
        c->time_ms++;
    }
}

static void store_id(jobq_id *out, const struct id_counter *c)
{
    uint8_t *b = out->bytes;
    for (int i = 0; i < 6; i++)
        b[i] = (uint8_t)((uint64_t)c->time_ms >> (40 - 8 * i));
    b[6] = (uint8_t)(0x70 | c->high >> 8);
    b[7] = (uint8_t)c->high;
    for (int i = 0; i < 8; i++)
        b[8 + i] = (uint8_t)(c->low >> (56 - 8 * i));
    b[8] = (uint8_t)(0x80 | (b[8] & 0x3F));
}

int jobq_id_new(jobq_id *out, jobq_err *err)
{
    if (!out)
        return error_set(err, JOBQ_EINVAL, "no place for the id was given");
    struct generator *g = seeded_generator();
    if (!g)
        return error_set(err, JOBQ_EINTERNAL, "the kernel gives no random bytes");
    int64_t now = clock_wall_ms();
    if (now > g->last.time_ms)
        start_counting(g, now);
    else /* Same millisecond, or the clock went back: count on, in steps nobody can guess. */
        id_counter_add(&g->last, 1 + (next_random(g) & UINT32_MAX));
    store_id(out, &g->last);
    return JOBQ_OK;
}

void jobq_id_format(const jobq_id *id, char out[JOBQ_ID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    char *p = out;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        *p++ = digits[id->bytes[i] >> 4];
        *p++ = digits[id->bytes[i] & 0xF];
    }
    *p = '\0';
}

static bool parse_id(const char *text, jobq_id *id)
{
    if (!text || strnlen(text, JOBQ_ID_TEXT_SIZE) != JOBQ_ID_TEXT_SIZE - 1)
        return false;
    const char *p = text;
    for (int i = 0; i < 16; i++) {
        if ((i == 4 || i == 6 || i == 8 || i == 10) && *p++ != '-')
            return false;
        int high = text_hex_value(p[0]);
        int low = text_hex_value(p[1]);
        if (high < 0 || low < 0)
            return false;
        id->bytes[i] = (uint8_t)(high << 4 | low);
        p += 2;
    }
    return true;
}

int jobq_id_parse(const char *text, jobq_id *out, jobq_err *err)
{
    jobq_id id = {{0}};
    if (!out || !parse_id(text, &id))
        return error_set(err, JOBQ_EINVAL,
                         "an id has the form 01234567-89ab-7cde-8fff-0123456789ab");
    *out = id;
    return JOBQ_OK;
}

int64_t id_time_ms(const jobq_id *id)
{
    if (id->bytes[6] >> 4 != 7 || id->bytes[8] >> 6 != 2)
        return -1;
    int64_t time_ms = 0;
    for (int i = 0; i < 6; i++)
        time_ms = time_ms << 8 | id->bytes[i];
    return time_ms;
}

int id_compare(const jobq_id *a, const jobq_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

void id_derive(const jobq_id *parent, uint32_t n, jobq_id *out)
{
    /* Fixed keys: every jobd must derive the same id, in this version and the next. */
    uint8_t input[20];
    memcpy(input, parent->bytes, 16);
    for (int i = 0; i < 4; i++)
        input[16 + i] = (uint8_t)(n >> (8 * i));
    uint64_t high = hash_sip13(input, sizeof(input), UINT64_C(0x6a6f62712d696431), 1);
    uint64_t low = hash_sip13(input, sizeof(input), UINT64_C(0x6a6f62712d696431), 2);
    struct id_counter c = {.high = (uint32_t)high & HIGH_MASK, .low = low & LOW_MASK};
    for (int i = 0; i < 6; i++)
        c.time_ms = c.time_ms << 8 | parent->bytes[i];
    store_id(out, &c);
}

uint64_t id_random_below(uint64_t below)
{
    ASSERT(below > 0);
    struct generator *g = seeded_generator();
    if (!g) {
        /* Jitter and choices must go on without the kernel's help; ids do not come this way. */
        g = &own;
        if ((g->state[0] | g->state[1] | g->state[2] | g->state[3]) == 0)
            g->state[0] = (uint64_t)clock_mono_us() ^ (uint64_t)getpid() << 32;
    }
    /* Numbers below threshold would make the first remainders more likely than the others. */
    uint64_t threshold = -below % below;
    uint64_t x = next_random(g);
    while (x < threshold)
        x = next_random(g);
    return x % below;
}
