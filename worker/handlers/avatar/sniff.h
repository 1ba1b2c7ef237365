/* SPDX-License-Identifier: MIT */
/*
 * sniff: what kind of image a file holds and how large it is, read from its first bytes.
 *
 * Nothing is decoded: what comes from strangers is judged here before any decoder sees it. Names
 * and declared types of files mean nothing.
 *
 * Pure.
 */
#ifndef WORKER_HANDLERS_AVATAR_SNIFF_H
#define WORKER_HANDLERS_AVATAR_SNIFF_H

#include <stddef.h>
#include <stdint.h>

enum sniff_kind {
    SNIFF_PNG,
    SNIFF_JPEG,
    SNIFF_WEBP,
};

struct sniff {
    enum sniff_kind kind;
    uint32_t width; /* never 0 */
    uint32_t height;
};

/* 0 and *out; -1 and *why, a constant text, when it is none of these kinds or its header is bad. */
int sniff(const uint8_t *bytes, size_t len, struct sniff *out, const char **why);

/* "PNG", … */
const char *sniff_name(enum sniff_kind kind);

#endif
