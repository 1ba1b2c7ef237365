/* SPDX-License-Identifier: MIT */
/*
 * hash: SipHash-1-3, the keyed hash that keeps hash tables safe from chosen keys. Pure.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash_sip13(const void *bytes, size_t len, uint64_t key0, uint64_t key1);

#endif
