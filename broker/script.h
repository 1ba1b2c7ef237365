/* SPDX-License-Identifier: MIT */
/*
 * script: the Lua that runs in Redis, embedded at build time, called by its SHA-1 (EVALSHA), so
 * that two versions of jobd run side by side. On NOSCRIPT the caller sends script_load() and
 * repeats its call once.
 */
#ifndef BROKER_SCRIPT_H
#define BROKER_SCRIPT_H

#include <stddef.h>

struct buf;

enum script_name {
    SCRIPT_ENQUEUE,
    SCRIPT_REGISTER,
    SCRIPT_BEAT,
    SCRIPT_LEAVE,
    SCRIPT_ACK,
    SCRIPT_FAIL,
    SCRIPT_MOVE,
    SCRIPT_FENCE,
    SCRIPT_REAP,
    SCRIPT_SWEEP,
    SCRIPT_UNPARK,
    SCRIPT_REVIVE,
    SCRIPT_PURGE,
    SCRIPT_PURGE_LATER,
    SCRIPT_DEPTH,
    SCRIPT_DROP,
    SCRIPT_COUNT
};

#define SCRIPT_SHA_LEN 40

/* What cmake/EmbedLua.cmake generates; use the functions below. */
struct script_text {
    const char *word;
    const char *sha;
    const char *body;
    size_t len;
};
extern const struct script_text script_table[SCRIPT_COUNT];

const char *script_word(enum script_name s); /* "ack" */
const char *script_sha(enum script_name s);  /* 40 hex digits */
/* Appends SCRIPT LOAD <body>. */
void script_load(struct buf *out, enum script_name s);
/* Appends the head of EVALSHA sha key_count …; key_count keys and arg_count arguments must follow
 * as resp_… words. */
void script_call(struct buf *out, enum script_name s, size_t key_count, size_t arg_count);

#endif
