/* SPDX-License-Identifier: MIT */
/*
 * fuzz_sniff: any bytes are an image of a size that a decoder may be asked for, or are refused with
 * a reason; a crop of it lies inside it; without its notes it is still that image.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "worker/handlers/avatar/crop.h"
#include "worker/handlers/avatar/sniff.h"
#include "worker/handlers/avatar/strip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_crop(const struct sniff *s, const uint8_t *data, size_t size)
{
    struct crop crop = {0};
    struct box box;
    char why[256] = "";
    char text[128];

    if (s->width > 16384 || s->height > 16384)
        return;
    /* The last bytes choose it. */
    if (size >= sizeof(crop))
        memcpy(&crop, data + size - sizeof(crop), sizeof(crop));
    if (crop_box(&crop, (int)s->width, (int)s->height, &box, why, sizeof(why)) < 0) {
        ASSERT(why[0] != '\0');
        return;
    }
    ASSERT(box.left >= 0 && box.left < box.right && box.right <= (int)s->width);
    ASSERT(box.top >= 0 && box.top < box.bottom && box.bottom <= (int)s->height);
    crop_format(&crop, text, sizeof(text));
    ASSERT(text[0] == '{' && text[strlen(text) - 1] == '}');
}

static void check_stripped(const struct sniff *s, const uint8_t *data, size_t size)
{
    struct sniff again;
    const char *why = NULL;
    uint8_t *copy = malloc(size);
    size_t len;

    if (copy == NULL)
        abort();
    memcpy(copy, data, size);
    len = strip(s->kind, copy, size);
    ASSERT(len <= size);
    ASSERT(sniff(copy, len, &again, &why) == 0);
    ASSERT(again.kind == s->kind && again.width == s->width && again.height == s->height);
    ASSERT(strip(s->kind, copy, len) == len);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sniff s;
    const char *why = NULL;

    if (sniff(data, size, &s, &why) == 0) {
        ASSERT(s.width > 0 && s.height > 0 && sniff_name(s.kind)[0] != '\0');
        check_crop(&s, data, size);
        check_stripped(&s, data, size);
    } else {
        ASSERT(why != NULL && why[0] != '\0');
    }
    return 0;
}
