/* SPDX-License-Identifier: MIT */
/* Headers of images: what is taken, what is not, and why. Whatever is cut is refused, never read
   past (the fuzz target goes over all of it too). */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"
#include "worker/handlers/avatar/sniff.h"
#include "worker/handlers/avatar/strip.h"

#define CORPUS "tests/fuzz/corpus/sniff/"

static const struct {
    const char *file;
    enum sniff_kind kind;
    unsigned width, height;
    const char *why; /* NULL: taken */
} cases[] = {
    {"png", SNIFF_PNG, 700, 520, NULL},
    {"png_huge", SNIFF_PNG, 30000, 30000, NULL},
    {"png_zero", 0, 0, 0, "a side of 0"},
    {"png_bad", 0, 0, 0, "PNG header is malformed"},
    {"jpeg", SNIFF_JPEG, 700, 520, NULL},
    {"jpeg_progressive", SNIFF_JPEG, 900, 700, NULL},
    {"jpeg_fill", SNIFF_JPEG, 400, 401, NULL},
    {"jpeg_scans", 0, 0, 0, "more than 100 scans"},
    {"jpeg_arithmetic", 0, 0, 0, "lossless or arithmetic"},
    {"jpeg_no_frame", 0, 0, 0, "before the JPEG's frame header"},
    {"webp_vp8", SNIFF_WEBP, 640, 480, NULL},
    {"webp_vp8l", SNIFF_WEBP, 640, 480, NULL},
    {"webp_vp8x", SNIFF_WEBP, 16384, 100, NULL},
    {"gif", 0, 0, 0, "no PNG, JPEG or WebP"},
    {"svg", 0, 0, 0, "no PNG, JPEG or WebP"},
};

static size_t load(const char *name, char **bytes)
{
    FILE *f = fopen(source_path(fmt(CORPUS "%s", name)), "rbe");
    size_t len;

    *bytes = malloc(1 << 16);
    if (!f || !*bytes) {
        fail_test("%s cannot be read", name);
    }
    len = fread(*bytes, 1, 1 << 16, f);
    fclose(f);
    return len;
}

Test(sniff, tells_kind_and_size_or_why_not)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *bytes;
        size_t len = load(cases[i].file, &bytes);
        struct sniff s;
        const char *why = "";
        int rc = sniff((const uint8_t *)bytes, len, &s, &why);
        if (cases[i].why) {
            cr_assert(rc == -1 && strstr(why, cases[i].why), "%s: %s", cases[i].file, why);
        } else {
            cr_assert_eq(rc, 0, "%s: %s", cases[i].file, why);
            cr_assert(s.kind == cases[i].kind && s.width == cases[i].width &&
                          s.height == cases[i].height,
                      "%s: %s %ux%u", cases[i].file, sniff_name(s.kind), s.width, s.height);
        }
        free(bytes);
    }
}

Test(sniff, refuses_a_webp_that_is_shorter_than_it_says)
{
    char *bytes;
    size_t len = load("webp_vp8", &bytes);
    struct sniff s;
    const char *why = "";

    cr_assert_eq(sniff((const uint8_t *)bytes, len - 1, &s, &why), -1);
    cr_assert_str_eq(why, "it is shorter than the WebP's header says");
    free(bytes);
}

static void must_strip(enum sniff_kind kind, const char *from, size_t from_len, const char *to,
                       size_t to_len)
{
    uint8_t bytes[128];
    size_t len;

    memcpy(bytes, from, from_len);
    len = strip(kind, bytes, from_len);
    cr_assert(len == to_len && memcmp(bytes, to, to_len) == 0, "%zu bytes are left", len);
}

#define STRIP(kind, from, to) must_strip(kind, from, sizeof(from) - 1, to, sizeof(to) - 1)
#define SIGNATURE "\x89PNG\r\n\x1a\n"

Test(sniff, takes_notes_out_of_a_file_and_leaves_what_is_cut)
{
    STRIP(SNIFF_PNG,
          SIGNATURE "\0\0\0\1tEXta1234"
                    "\0\0\0\2tRNSab1234"
                    "\0\0\0\0iCCP1234"
                    "\0\0\0\1IDATx1234"
                    "\0\0\0\0IEND1234"
                    "\0\0\0\0IDAT1234",
          SIGNATURE "\0\0\0\2tRNSab1234"
                    "\0\0\0\1IDATx1234"
                    "\0\0\0\0IEND1234");
    STRIP(SNIFF_PNG,
          SIGNATURE "\0\0\0\0tIME1234"
                    "\0\0\0\5IDATx1234",
          SIGNATURE "\0\0\0\5IDATx1234");
    STRIP(SNIFF_JPEG,
          "\xff\xd8"
          "\xff\xe1\0\4ex"
          "\xff\xe0\0\3j"
          "\xff\xff\xfe\0\2"
          "\xff\xee\0\3a"
          "\xff\xe2\0\3i"
          "\xff\xda\0\3s"
          "\xff\xe1\0\2",
          "\xff\xd8"
          "\xff\xe0\0\3j"
          "\xff\xee\0\3a"
          "\xff\xda\0\3s"
          "\xff\xe1\0\2");
    STRIP(SNIFF_JPEG,
          "\xff\xd8"
          "\xff\xe1\0\2"
          "\xff\xe1\0\x09z",
          "\xff\xd8"
          "\xff\xe1\0\x09z");
    STRIP(SNIFF_WEBP, "RIFF", "RIFF");
}
