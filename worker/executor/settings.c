/* SPDX-License-Identifier: MIT */
/*
 * settings: the configuration that jobd hands to its executors. See settings.h. Single thread.
 */
#include "worker/executor/settings.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "worker/frame.h"

static int count_strings(const struct frame *f, size_t *out)
{
    struct frame_str s;
    size_t at = 0;
    int rc;

    *out = 0;
    while ((rc = frame_get_strings(f, &at, &s)) == JOBQ_OK) {
        if (memchr(s.bytes, '\0', s.len) != NULL)
            return JOBQ_EPROTO;
        (*out)++;
    }
    return rc == JOBQ_ENOTFOUND ? JOBQ_OK : rc;
}

int settings_read(struct settings *s, const struct frame *f, jobq_err *err)
{
    struct frame_str text;
    size_t n, at = 0;

    ASSERT(s->strings == NULL);
    if (count_strings(f, &n) != JOBQ_OK || n % 2 != 0)
        return error_set(err, JOBQ_EPROTO, "malformed configuration");
    s->strings = mem_zalloc(n + 1, sizeof(*s->strings));
    if (s->strings == NULL)
        return error_set(err, JOBQ_ENOMEM, "no memory for the configuration");
    while (frame_get_strings(f, &at, &text) == JOBQ_OK) {
        s->strings[s->count] = mem_strndup(text.bytes, text.len);
        if (s->strings[s->count] == NULL)
            return error_set(err, JOBQ_ENOMEM, "no memory for the configuration");
        s->count++;
    }
    return JOBQ_OK;
}

void settings_done(struct settings *s)
{
    for (size_t i = 0; i < s->count; i++)
        mem_wipe_free(s->strings[i], strlen(s->strings[i]));
    mem_free(s->strings);
    *s = (struct settings){0};
}

const char *settings_get(const struct settings *s, const char *key)
{
    for (size_t i = 0; i + 1 < s->count; i += 2) {
        if (strcmp(s->strings[i], key) == 0)
            return s->strings[i + 1];
    }
    return NULL;
}

int64_t settings_ms(const struct settings *s, const char *key, int64_t fallback)
{
    const char *text = settings_get(s, key);
    int64_t value;

    return text != NULL && text_parse_duration(text, &value) == JOBQ_OK ? value : fallback;
}

int64_t settings_bytes(const struct settings *s, const char *key, int64_t fallback)
{
    const char *text = settings_get(s, key);
    int64_t value;

    return text != NULL && text_parse_size(text, &value) == JOBQ_OK ? value : fallback;
}
