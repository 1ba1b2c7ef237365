/* SPDX-License-Identifier: MIT */
/*
 * strip: takes out of an image file what is not its pixels, before a decoder sees it.
 *
 * Texts, profiles and camera notes are kept nowhere, so nobody need read them: in a PNG they may be
 * compressed a thousandfold (7 MB of file became 2 GB of memory), and each format of them is one
 * more parser for strangers to feed.
 *
 * Pure.
 */
#ifndef WORKER_HANDLERS_AVATAR_STRIP_H
#define WORKER_HANDLERS_AVATAR_STRIP_H

#include <stddef.h>
#include <stdint.h>

#include "worker/handlers/avatar/sniff.h"

/* In place; the new length. Of a kind that sniff() has told. WebP is left as it is: nothing in it
   is compressed but pixels, and its decoder is not asked for more. */
size_t strip(enum sniff_kind kind, uint8_t *bytes, size_t len);

#endif
