/* SPDX-License-Identifier: MIT */
/*
 * codec: the packed header `h` of an entry, version 1. Pure; never trusts its input.
 *
 * Layout, little-endian: 0 version · 1 flags (bits 0-1 own lane: 0 normal, 1 high, 2 low; bit 2
 * exhausted) · 2-3 attempts · 4 crashes · 5 losses · 6-21 id · 22 length of type · type · options,
 * each tag u8, length u16, value.
 */
#ifndef BROKER_CODEC_H
#define BROKER_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jobq/error.h>
#include <jobq/job.h>

#include "base/base.h"

struct buf;

#define CODEC_VERSION 1
#define CODEC_FLAG_LANE 0x03
#define CODEC_FLAG_EXHAUSTED 0x04
#define CODEC_HEADER_MAX 8192 /* a longer h is corrupt */
#define CODEC_ERROR_MAX 1024
#define CODEC_FIXED_SIZE 23

enum codec_tag {
    CODEC_MAX_ATTEMPTS = 1, /* u16 */
    CODEC_SOFT_LIMIT = 2,   /* u32 ms */
    CODEC_HARD_LIMIT = 3,   /* u32 ms */
    CODEC_EXPIRES = 4,      /* u64 ms after enqueue */
    CODEC_UNIQUE = 5,       /* bytes <= 255 */
    CODEC_LIMIT_KEY = 6,
    CODEC_TRACEPARENT = 7,
    CODEC_RESULT = 8,       /* empty */
    CODEC_FLOW = 9,
    CODEC_ENQUEUED = 10,    /* u64 Unix ms */
    CODEC_LEDGER_RUN = 11,  /* u64 */
    CODEC_ERROR = 12,       /* UTF-8 <= 1024 */
    CODEC_RELEASES = 13,    /* u16 */
};

/* A header in the open. Pointers borrow from the bytes it was decoded from (or from the caller, for
 * encoding). */
struct job_header {
    uint8_t flags;
    uint16_t attempts;
    uint8_t crashes;
    uint8_t losses;
    jobq_id id;
    const char *type; /* not NUL-terminated */
    size_t type_len;
    uint16_t max_attempts;   /* 0: not set; likewise below */
    uint32_t soft_limit_ms;
    uint32_t hard_limit_ms;
    int64_t expires_ms;
    const char *unique;
    size_t unique_len;
    int64_t enqueued_ms;
    const char *error;
    size_t error_len;
    uint16_t releases;
    const uint8_t *others;   /* the whole option area, from which encode copies the tags not listed
                              * above */
    size_t others_len;
};

enum codec_result { CODEC_OK, CODEC_NEWER, CODEC_CORRUPT };

/* CODEC_NEWER: a version this build does not know. err gets what is wrong and at which byte; may be
 * NULL. */
enum codec_result codec_decode(const void *bytes, size_t len, struct job_header *out,
                               jobq_err *err);
/* Appends h; options in ascending order of tag, unknown ones kept at the end. Fails only through
 * b->failed. */
void codec_encode(const struct job_header *h, struct buf *b);
/* Reads only the id of a version 1 header, however broken the rest is; false when it is too
 * short. */
bool codec_peek_id(const void *bytes, size_t len, jobq_id *out);

/* An entry id of a stream: "ms-seq". */
struct entry_id {
    uint64_t ms;
    uint64_t seq;
};
#define ENTRY_ID_TEXT_SIZE 42
MUST_CHECK int entry_id_parse(const char *text, size_t len, struct entry_id *out);
size_t entry_id_format(const struct entry_id *id, char out[ENTRY_ID_TEXT_SIZE]);
int entry_id_compare(const struct entry_id *a, const struct entry_id *b);

#endif
