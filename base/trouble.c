/* SPDX-License-Identifier: MIT */
/*
 * trouble: see trouble.h. A table in static memory; a trouble is known by the hash of its event and
 * first fields, what was told of it is kept for the line that says that it is over.
 */
#include "base/trouble.h"

#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"

#define FIELDS_MAX 10
#define QUIET_MS 15000
#define WORD_MAX 48
#define TEXT_MAX 192

struct standing {
    char event[WORD_MAX]; /* empty: free */
    char error[TEXT_MAX];
    uint64_t hash;
    int64_t since_ms, seen_ms, told_ms;
    uint64_t count, left_out; /* in all; since it was told */
};

static struct {
    int64_t quiet_ms;
    struct standing table[TROUBLES_MAX + 1]; /* the last: all for which there is no place */
} state = {.quiet_ms = QUIET_MS};

void trouble_setup(int64_t quiet_ms)
{
    state.quiet_ms = quiet_ms;
}

static uint64_t hash_trouble(const char *event, unsigned same, const struct log_field *f)
{
    uint64_t h = hash_sip13(event, strlen(event), 0, 0);
    for (unsigned i = 0; i < same && f[i].kind != LOG_KIND_END; i++) {
        if (f[i].kind == LOG_KIND_INT)
            h = hash_sip13(&f[i].number, sizeof(f[i].number), h, i);
        else if (f[i].text)
            h = hash_sip13(f[i].text,
                           f[i].kind == LOG_KIND_BYTES ? (size_t)f[i].number : strlen(f[i].text), h,
                           i);
    }
    return h;
}

/* The one that stands, or a free place (its event is empty). */
static struct standing *find_standing(const char *event, uint64_t hash)
{
    struct standing *unused = NULL;
    for (size_t i = 0; i < TROUBLES_MAX; i++) {
        struct standing *t = &state.table[i];
        if (!t->event[0])
            unused = unused ? unused : t;
        else if (t->hash == hash && strncmp(t->event, event, WORD_MAX - 1) == 0)
            return t;
    }
    return unused ? unused : &state.table[TROUBLES_MAX];
}

static void keep_error(struct standing *t, const struct log_field *f)
{
    t->error[0] = '\0';
    for (; f->kind != LOG_KIND_END; f++)
        if (f->kind == LOG_KIND_STR && f->text && strcmp(f->key, "error") == 0)
            text_sanitize(f->text, strlen(f->text), t->error, sizeof(t->error));
}

static void tell(struct standing *t, enum log_level level, const char *event,
                 const struct log_field *fields)
{
    struct log_field all[FIELDS_MAX + 2];
    size_t n = 0;
    while (n < FIELDS_MAX && fields[n].kind != LOG_KIND_END) {
        all[n] = fields[n];
        n++;
    }
    if (t->left_out)
        all[n++] = LOG_INT("left_out", t->left_out);
    all[n] = LOG_END;
    log_write(level, event, all);
    t->left_out = 0;
}

static void tell_healed(struct standing *t)
{
    log_event(LOG_INFO, "healed", LOG_STR("what", t->event),
              LOG_STR("error", t->error[0] ? t->error : NULL), LOG_INT("count", t->count),
              LOG_INT("left_out", t->left_out), LOG_INT("lasted_ms", t->seen_ms - t->since_ms),
              LOG_END);
    t->event[0] = '\0';
}

static bool has_healed(const struct standing *t, int64_t now)
{
    return t->event[0] && now - t->seen_ms >= state.quiet_ms;
}

bool trouble_write(enum log_level level, const char *event, unsigned same,
                   const struct log_field *fields)
{
    if (!log_is_enabled(level))
        return false;
    int64_t now = clock_mono_ms();
    uint64_t hash = hash_trouble(event, same, fields);
    struct standing *t = find_standing(event, hash);
    if (has_healed(t, now))
        tell_healed(t);
    if (!t->event[0]) {
        *t = (struct standing){.hash = hash, .since_ms = now, .told_ms = now - TROUBLE_AGAIN_MS};
        text_sanitize(event, strlen(event), t->event, sizeof(t->event));
    }
    t->seen_ms = now;
    t->count++;
    if (now - t->told_ms < TROUBLE_AGAIN_MS) {
        t->left_out++;
        return false;
    }
    t->told_ms = now;
    keep_error(t, fields);
    tell(t, level, event, fields);
    return true;
}

void trouble_end(const char *event, unsigned same, const struct log_field *fields)
{
    struct standing *t = find_standing(event, hash_trouble(event, same, fields));
    if (t->event[0] && t != &state.table[TROUBLES_MAX])
        tell_healed(t);
}

void trouble_tick(void)
{
    int64_t now = clock_mono_ms();
    for (size_t i = 0; i < ARRAY_LEN(state.table); i++)
        if (has_healed(&state.table[i], now))
            tell_healed(&state.table[i]);
}

int64_t trouble_due_ms(void)
{
    int64_t due = INT64_MAX;
    for (size_t i = 0; i < ARRAY_LEN(state.table); i++)
        if (state.table[i].event[0])
            due = MIN(due, state.table[i].seen_ms + state.quiet_ms);
    return due;
}
