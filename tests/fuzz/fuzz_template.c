/* SPDX-License-Identifier: MIT */
/*
 * fuzz_template: any bytes as a template, with data that the bytes bring along (JSON behind a line
 * "%%") and with hostile data of ours. Whatever happens: a text within its limit, the same every
 * time, or one line that names the file; and no value reaches HTML unescaped unless it was asked
 * for.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "worker/handlers/mail/mail_data.h"
#include "worker/handlers/mail/template.h"

#define OUTPUT_MAX 20000
#define HOSTILE "<\"'&>"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_fault(const struct mail_fault *why)
{
    ASSERT(why->kind == MAIL_FAULT_TEMPLATE && strncmp(why->text, "f", 1) == 0);
    for (const char *c = why->text; *c; c++)
        ASSERT((unsigned char)*c >= ' ' && *c != 0x7F);
}

/* NULL: refused. */
static struct template *parse(const char *source, size_t len, const char *const *names)
{
    struct mail_fault why = {0};
    struct template *t = NULL;

    if (!template_parse("f", source, len, names, &t, &why)) {
        ASSERT(t == NULL);
        check_fault(&why);
    }
    return t;
}

/* Caller frees with free(); NULL: refused. */
static char *render(const struct template *t, json_t *json, enum template_escape escape)
{
    struct mail_fault why = {0};
    struct bytes out;
    char *text = NULL;

    bytes_init(&out, OUTPUT_MAX);
    if (template_render(t, json, escape, &out, &why)) {
        ASSERT(out.len <= OUTPUT_MAX);
        text = bytes_take(&out);
        ASSERT(text != NULL);
    } else {
        check_fault(&why);
    }
    bytes_done(&out);
    return text;
}

static void check_same(const struct template *t, json_t *json, enum template_escape escape)
{
    char *first = render(t, json, escape);
    char *second = render(t, json, escape);

    ASSERT((first == NULL) == (second == NULL));
    ASSERT(first == NULL || strcmp(first, second) == 0);
    free(first);
    free(second);
}

static void check_escaped(const struct template *t, const char *source, size_t len)
{
    static const char json[] = "{\"a\": \"<\\\"'&>\", \"b\": {\"a\": \"<\\\"'&>\"},"
                               " \"l\": [\"<\\\"'&>\", {\"a\": \"<\\\"'&>\"}]}";
    json_t *hostile = json_loads(json, 0, NULL);
    char *text = render(t, hostile, TEMPLATE_HTML);
    /* A template may hold the bytes itself, or put them together around a tag. */
    bool is_raw = memmem(source, len, "{{{", 3) || memchr(source, '&', len) ||
                  memchr(source, '<', len) || memchr(source, '\'', len);

    ASSERT(text == NULL || is_raw || strstr(text, HOSTILE) == NULL);
    ASSERT(text == NULL || is_raw || strchr(text, '<') == NULL);
    free(text);
    json_decref(hostile);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *source = (const char *)data;
    const char *mark = size > 0 ? memmem(source, size, "\n%%\n", 4) : NULL;
    size_t len = mark ? (size_t)(mark - source) : size;
    json_t *json = mark ? json_loadb(mark + 4, size - len - 4, JSON_ALLOW_NUL, NULL) : NULL;
    struct template *t = parse(source, len, NULL);
    struct template *known = parse(source, len, mail_data_names());

    ASSERT(known == NULL || t != NULL);
    if (json == NULL)
        json = json_object();
    if (t != NULL) {
        check_same(t, json, TEMPLATE_HTML);
        check_same(t, json, TEMPLATE_PLAIN);
        check_escaped(t, source, len);
    }
    template_free(t);
    template_free(known);
    json_decref(json);
    return 0;
}
