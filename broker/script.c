/* SPDX-License-Identifier: MIT */
/*
 * script: see script.h. The texts are generated from broker/lua/ by cmake/EmbedLua.cmake.
 */
#include "broker/script.h"

#include "base/base.h"
#include "broker/resp.h"

static const struct script_text *text_of(enum script_name s)
{
    ASSERT((unsigned)s < SCRIPT_COUNT && script_table[s].body != NULL);
    return &script_table[s];
}

const char *script_word(enum script_name s)
{
    return text_of(s)->word;
}

const char *script_sha(enum script_name s)
{
    return text_of(s)->sha;
}

void script_load(struct buf *out, enum script_name s)
{
    const struct script_text *t = text_of(s);

    resp_begin(out, 3);
    resp_str(out, "SCRIPT");
    resp_str(out, "LOAD");
    resp_bytes(out, t->body, t->len);
}

void script_call(struct buf *out, enum script_name s, size_t key_count, size_t arg_count)
{
    resp_begin(out, 3 + key_count + arg_count);
    resp_str(out, "EVALSHA");
    resp_bytes(out, script_sha(s), SCRIPT_SHA_LEN);
    resp_int(out, (int64_t)key_count);
}
