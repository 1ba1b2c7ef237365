/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "base/base.h"
#include "base/hash.h"

/* From another implementation: CPython's hash() of bytes under PYTHONHASHSEED=0, which is
 * SipHash-1-3 with key 0. */
Test(hash, agrees_with_another_implementation)
{
    static const struct {
        size_t len;
        uint64_t hash;
    } cases[] = {
        {1, UINT64_C(0x26144e6cff3ac45c)},  {2, UINT64_C(0x52bd41de9d38aaf7)},
        {3, UINT64_C(0xa4fa623f1c3d8f91)},  {4, UINT64_C(0x33bce358c2baa9b2)},
        {5, UINT64_C(0x3e7c050f956de4d6)},  {6, UINT64_C(0x10b0654a400278b1)},
        {7, UINT64_C(0xdf736fc88c20792a)},  {8, UINT64_C(0x13c8df4ec019b503)},
        {9, UINT64_C(0xdfb5eb7cc3223b49)},  {15, UINT64_C(0xbeba3cf576457485)},
        {16, UINT64_C(0x610125500b21b982)}, {17, UINT64_C(0xfa02bdcf2ab24ba9)},
        {31, UINT64_C(0xde72d3f45318baf4)}, {32, UINT64_C(0x087c22acb367534f)},
        {33, UINT64_C(0x7073225da5a0c159)},
    };
    uint8_t bytes[40];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 37 + 11);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        cr_assert_eq(hash_sip13(bytes, cases[i].len, 0, 0), cases[i].hash, "length %zu",
                     cases[i].len);
}

/* Published with SipHash-1-3: key 00 01 … 0f, no input. */
Test(hash, depends_on_its_key)
{
    uint64_t key0 = UINT64_C(0x0706050403020100);
    uint64_t key1 = UINT64_C(0x0f0e0d0c0b0a0908);
    cr_assert_eq(hash_sip13(NULL, 0, key0, key1), UINT64_C(0xabac0158050fc4dc));
    cr_assert_neq(hash_sip13("x", 1, key0, key1), hash_sip13("x", 1, key0 ^ 1, key1));
    cr_assert_neq(hash_sip13("x", 1, key0, key1), hash_sip13("x", 1, key0, key1 ^ 1));
}
