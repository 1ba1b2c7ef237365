/* SPDX-License-Identifier: MIT */
/* names: see names.h. The hash is GLib's, which libvips brings. */
#include "worker/handlers/avatar/names.h"

#include <glib.h>
#include <inttypes.h>
#include <string.h>

#include "worker/handlers/common/text.h"

static void add(GChecksum *sum, const char *text)
{
    g_checksum_update(sum, (const guchar *)text, (gssize)strlen(text) + 1);
}

void names_directory(const struct names_of *of, char out[NAMES_DIRECTORY_SIZE])
{
    GChecksum *sum = g_checksum_new(G_CHECKSUM_SHA256);
    char number[96];
    const char *hex;

    add(sum, "jobq avatar 1");
    text_format(number, sizeof(number), "%" PRId64 " %d %d %d %d", of->user_id, of->box.left,
                of->box.top, of->box.right, of->box.bottom);
    add(sum, number);
    add(sum, of->source);
    g_checksum_update(sum, of->bytes, (gssize)of->len);
    hex = g_checksum_get_string(sum);
    text_format(out, NAMES_DIRECTORY_SIZE, NAMES_TREE "/%.2s/%.2s/%.32s", hex, hex + 2, hex + 4);
    g_checksum_free(sum);
}

void names_file(const char *directory, int size, char out[NAMES_FILE_SIZE])
{
    GChecksum *sum = g_checksum_new(G_CHECKSUM_SHA256);
    char number[16];

    add(sum, directory);
    text_format(number, sizeof(number), "%d", size);
    add(sum, number);
    text_format(out, NAMES_FILE_SIZE, "%.32s.png", g_checksum_get_string(sum));
    g_checksum_free(sum);
}
