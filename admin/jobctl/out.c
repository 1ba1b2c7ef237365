/* SPDX-License-Identifier: MIT */
/* out: see out.h. */
#include "admin/jobctl/out.h"

#include <inttypes.h>
#include <string.h>
#include <wchar.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

#define OUT_MAX ((size_t)256 * 1024 * 1024)
/* A cell of a table is cut at so many bytes; JSON and lists of fields have it whole or say what is
 * missing. */
#define CELL_MAX 200
#define FIELD_MAX 4096

/* ---- text that is safe to show ---- */

/* Length of the UTF-8 character at bytes, 0 when there is none; *code is its number. */
static size_t read_character(const char *bytes, size_t len, uint32_t *code)
{
    const uint8_t *b = (const uint8_t *)bytes;
    size_t n = b[0] < 0x80 ? 1 : b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3 : 4;
    if (n > len || !text_is_utf8(bytes, n, NULL))
        return 0;
    static const uint8_t mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    *code = b[0] & mask[n];
    for (size_t i = 1; i < n; i++)
        *code = *code << 6 | (b[i] & 0x3fu);
    return n;
}

/* C0, DEL, C1, and what reorders or hides text on a terminal. */
static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x061c ||
           (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2060 && c <= 0x2069) || c == 0xfeff;
}

static void append_control(struct buf *b, uint32_t c)
{
    if (c == '\n')
        buf_append_str(b, "\\n");
    else if (c == '\t')
        buf_append_str(b, "\\t");
    else if (c == '\r')
        buf_append_str(b, "\\r");
    else
        buf_appendf(b, c < 0x80 ? "\\x%02x" : "\\u%04x", c);
}

void out_visible(struct buf *b, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len;) {
        uint32_t code = 0;
        size_t n = read_character(bytes + i, len - i, &code);
        if (n == 0)
            buf_appendf(b, "\\x%02x", (uint8_t)bytes[i]);
        else if (is_control(code))
            append_control(b, code);
        else
            buf_append(b, bytes + i, n);
        i += n == 0 ? 1 : n;
    }
}

json_t *out_string(const char *bytes, size_t len)
{
    if (bytes == NULL)
        return json_null();
    if (text_is_utf8(bytes, len, NULL))
        return json_stringn(bytes, len);
    char *copy = mem_alloc(len + 1);
    if (copy == NULL)
        return NULL;
    size_t n = text_sanitize(bytes, len, copy, len + 1);
    json_t *s = json_stringn(copy, n);
    mem_free(copy);
    return s;
}

json_t *out_time(int64_t ms)
{
    return ms < 0 ? json_null() : json_integer(ms);
}

/* ---- tables ---- */

struct cell {
    size_t at, len; /* in the buf of all cells */
    size_t width;   /* columns of a terminal */
};

size_t out_width(const char *bytes, size_t len)
{
    size_t width = 0;
    for (size_t i = 0; i < len;) {
        uint32_t code = 0;
        size_t n = read_character(bytes + i, len - i, &code);
        int columns = n > 0 ? wcwidth((wchar_t)code) : 1;
        width += columns < 0 ? 1 : (size_t)columns;
        i += n == 0 ? 1 : n;
    }
    return width;
}

static void append_size(struct buf *b, int64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    double n = (double)bytes;
    for (; n >= 1024 && unit + 1 < ARRAY_LEN(units); unit++)
        n /= 1024;
    buf_appendf(b, "%.*f %s", unit > 0 && n < 10 ? 1 : 0, n, units[unit]);
}

/* What people see of a member; "-" for none. A number beside which "…_exact" is false is an upper
 * bound. */
void out_value(struct buf *b, const json_t *object, const struct out_column *column, size_t max)
{
    char text[64];
    const json_t *value = json_object_get(object, column->key);
    enum out_kind kind = column->kind;
    if (json_is_string(value)) {
        size_t len = json_string_length(value);
        size_t cut = text_cut(json_string_value(value), len, max);
        out_visible(b, json_string_value(value), cut);
        if (cut < len)
            buf_appendf(b, " … (%zu bytes in all, see --json)", len);
    } else if (json_is_integer(value) && kind == OUT_TIME) {
        text_format_time(json_integer_value(value), text, sizeof(text));
        buf_append_str(b, text);
    } else if (json_is_integer(value) && kind == OUT_DURATION) {
        text_format_duration(json_integer_value(value), text, sizeof(text));
        buf_append_str(b, text);
    } else if (json_is_integer(value) && kind == OUT_SIZE) {
        append_size(b, json_integer_value(value));
    } else if (json_is_integer(value)) {
        snprintf(text, sizeof(text), "%s_exact", column->key);
        buf_append_str(b, json_is_false(json_object_get(object, text)) ? "~" : "");
        buf_appendf(b, "%" PRId64, (int64_t)json_integer_value(value));
    } else if (json_is_boolean(value)) {
        buf_append_str(b, json_is_true(value) ? "yes" : "no");
    } else {
        buf_append_char(b, '-');
    }
}

/* The colour of a word; NULL: none. */
const char *out_colour(const char *word, size_t len)
{
    static const struct {
        const char *word, *colour;
    } colours[] = {
        {"ok", "\033[32m"},        {"alive", "\033[32m"},    {"fault", "\033[31m"},
        {"dead", "\033[31m"},      {"fenced", "\033[31m"},   {"silent", "\033[33m"},
        {"skipped", "\033[33m"},   {"gone", "\033[33m"},     {"ready", "\033[32m"},
        {"not ready", "\033[33m"}, {"draining", "\033[33m"},
    };
    for (size_t i = 0; i < ARRAY_LEN(colours); i++) {
        if (strlen(colours[i].word) == len && memcmp(colours[i].word, word, len) == 0)
            return colours[i].colour;
    }
    return NULL;
}

static void append_cell(struct out *o, struct buf *b, const struct buf *cells, const struct cell *c,
                        const struct out_column *column, size_t width, bool last)
{
    const char *text = cells->data + c->at;
    const char *colour = o->colour && column->kind == OUT_STATE ? out_colour(text, c->len) : NULL;
    size_t pad = width - c->width;
    bool right =
        column->kind == OUT_NUMBER || column->kind == OUT_COUNT || column->kind == OUT_SIZE;
    if (right)
        buf_appendf(b, "%*s", (int)pad, "");
    if (colour != NULL)
        buf_append_str(b, colour);
    buf_append(b, text, c->len);
    if (colour != NULL)
        buf_append_str(b, "\033[0m");
    if (!last)
        buf_appendf(b, "%*s", (int)(right ? 2 : pad + 2), "");
}

static void add_cell(struct buf *cells, struct cell *c, size_t at)
{
    c->at = at;
    c->len = cells->len - at;
    c->width = cells->data != NULL ? out_width(cells->data + at, c->len) : 0;
}

static void append_table(struct out *o, struct buf *b, const json_t *rows,
                         const struct out_section *s)
{
    struct buf cells;
    size_t n = json_array_size(rows) + 1, columns = s->column_count;
    struct cell *table = mem_zalloc(n * columns, sizeof(*table));
    size_t *widths = mem_zalloc(columns, sizeof(*widths));
    buf_init(&cells, OUT_MAX);
    b->failed = b->failed || table == NULL || widths == NULL;
    for (size_t i = 0; !b->failed && i < n * columns; i++) {
        const struct out_column *column = &s->columns[i % columns];
        size_t at = cells.len;
        if (i < columns)
            buf_append_str(&cells, column->header);
        else
            out_value(&cells, json_array_get(rows, i / columns - 1), column, CELL_MAX);
        add_cell(&cells, &table[i], at);
        widths[i % columns] = MAX(widths[i % columns], table[i].width);
    }
    b->failed = b->failed || cells.failed;
    for (size_t i = 0; !b->failed && i < n * columns; i++) {
        size_t c = i % columns;
        append_cell(o, b, &cells, &table[i], &s->columns[c], widths[c], c + 1 == columns);
        if (c + 1 == columns)
            buf_append_char(b, '\n');
    }
    buf_done(&cells);
    mem_free(table);
    mem_free(widths);
}

static bool is_field_shown(const json_t *object, const struct out_column *c)
{
    const json_t *value = json_object_get(object, c->key);
    bool none = c->kind == OUT_COUNT && json_integer_value(value) == 0;
    return value != NULL && !json_is_null(value) && !none;
}

/* "header  value" lines; members that are null are left out. */
static void append_fields(struct out *o, struct buf *b, const json_t *object,
                          const struct out_section *s)
{
    size_t width = 0;
    for (size_t i = 0; i < s->column_count; i++) {
        if (is_field_shown(object, &s->columns[i]))
            width = MAX(width, strlen(s->columns[i].header));
    }
    for (size_t i = 0; i < s->column_count; i++) {
        const struct out_column *c = &s->columns[i];
        const json_t *value = json_object_get(object, c->key);
        if (!is_field_shown(object, c))
            continue;
        const char *colour = NULL;
        if (o->colour && c->kind == OUT_STATE && json_is_string(value))
            colour = out_colour(json_string_value(value), json_string_length(value));
        buf_appendf(b, "%-*s  %s", (int)width, c->header, colour != NULL ? colour : "");
        out_value(b, object, c, FIELD_MAX);
        buf_append_str(b, colour != NULL ? "\033[0m\n" : "\n");
    }
}

static void append_section(struct out *o, struct buf *b, const json_t *root,
                           const struct out_section *s)
{
    const json_t *value = json_object_get(root, s->key);
    bool empty = json_is_array(value) ? json_array_size(value) == 0 : !json_is_object(value);
    if (b->len > 0 && (!empty || s->empty != NULL))
        buf_append_char(b, '\n'); /* sections stand apart */
    if (empty && s->empty != NULL)
        buf_appendf(b, "%s\n", s->empty);
    else if (!empty && json_is_array(value))
        append_table(o, b, value, s);
    else if (!empty)
        append_fields(o, b, value, s);
}

/* Where a list that was cut goes on. */
static void append_next(struct buf *b, const json_t *root)
{
    const json_t *next = json_object_get(root, "next");
    if (!json_is_string(next))
        return;
    buf_append_str(b, "more: --after ");
    out_visible(b, json_string_value(next), json_string_length(next));
    buf_append_char(b, '\n');
}

/* DEL is the one control character that jansson leaves as it is. */
static int append_chunk(const char *bytes, size_t len, void *ctx)
{
    struct buf *b = ctx;
    for (size_t i = 0; i < len;) {
        const char *del = memchr(bytes + i, 0x7f, len - i);
        size_t n = del != NULL ? (size_t)(del - bytes) - i : len - i;
        buf_append(b, bytes + i, n);
        if (del != NULL)
            buf_append_str(b, "\\u007f");
        i += n + (del != NULL);
    }
    return b->failed ? -1 : 0;
}

int out_show(struct out *o, json_t *root, const struct out_section *sections, size_t n,
             jobq_err *err)
{
    struct buf b;
    int rc = JOBQ_OK;
    buf_init(&b, OUT_MAX);
    if (root == NULL) {
        rc = error_set(err, JOBQ_ENOMEM, "no memory for the answer");
        goto out;
    }
    if (o->json) {
        /* ASCII only: what a terminal would act on (C1 controls too) is escaped. */
        if (json_dump_callback(root, append_chunk, &b, JSON_INDENT(2) | JSON_ENSURE_ASCII) != 0)
            b.failed = true;
        buf_append_char(&b, '\n');
    } else {
        for (size_t i = 0; i < n; i++)
            append_section(o, &b, root, &sections[i]);
        append_next(&b, root);
    }
    if (b.failed)
        rc = error_set(err, JOBQ_ENOMEM, "no memory for the answer");
    else if (b.len > 0 && (fwrite(b.data, 1, b.len, o->file) != b.len || fflush(o->file) != 0))
        rc = error_set(err, JOBQ_EREJECTED, "cannot write the answer: %m");
out:
    buf_done(&b);
    json_decref(root);
    return rc;
}
