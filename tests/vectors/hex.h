/* SPDX-License-Identifier: MIT */
/* hex: the bytes of a hexadecimal text of the test vectors. */
#ifndef TESTS_VECTORS_HEX_H
#define TESTS_VECTORS_HEX_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Caller frees with free(). Aborts on anything that is not hexadecimal: the vectors are ours. */
static inline uint8_t *hex_decode(const char *text, size_t *len)
{
    size_t n = text ? strlen(text) : 1;
    uint8_t *bytes = malloc(n / 2 + 1);

    if (!bytes || n % 2 != 0)
        abort();
    for (size_t i = 0; i < n / 2; i++)
        if (sscanf(text + 2 * i, "%2hhx", &bytes[i]) != 1)
            abort();
    *len = n / 2;
    return bytes;
}

#endif
