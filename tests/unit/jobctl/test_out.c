/* SPDX-License-Identifier: MIT */
/* out: what reaches a terminal, and what JSON holds. */
#include <criterion/criterion.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/jobctl/out.h"
#include "base/buf.h"
#include "base/text.h"

static void expect_visible(const char *bytes, size_t len, const char *shown)
{
    struct buf b;
    buf_init(&b, 4096);
    buf_append_str(&b, "");
    out_visible(&b, bytes, len);
    cr_assert_str_eq(b.data, shown);
    buf_done(&b);
}
#define VISIBLE(literal, shown) expect_visible(literal, sizeof(literal) - 1, shown)

Test(out, makes_control_characters_and_bad_bytes_visible)
{
    VISIBLE("plain \303\244 \342\202\254 \360\237\230\200",
            "plain \303\244 \342\202\254 \360\237\230\200");
    VISIBLE("a\nb\tc\rd\033[0m\177\000", "a\\nb\\tc\\rd\\x1b[0m\\x7f\\x00");
    VISIBLE("\302\233\302\200", "\\u009b\\u0080");
    VISIBLE("\342\200\256abc\342\201\246\357\273\277", "\\u202eabc\\u2066\\ufeff");
    VISIBLE("\377\303", "\\xff\\xc3");
    VISIBLE("\355\240\200", "\\xed\\xa0\\x80");
    VISIBLE("\360\237\230", "\\xf0\\x9f\\x98");
}

Test(out, shows_any_bytes_as_valid_text_without_controls)
{
    char bytes[64];
    uint64_t seed = 88172645463325252u;
    for (int round = 0; round < 20000; round++) {
        struct buf b;
        size_t bad = 0;
        for (size_t i = 0; i < sizeof(bytes); i++) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            bytes[i] = (char)(seed >> 32);
        }
        buf_init(&b, 4096);
        out_visible(&b, bytes, sizeof(bytes));
        cr_assert(!b.failed && text_is_utf8(b.data, b.len, &bad), "bad at %zu", bad);
        for (size_t i = 0; i < b.len; i++)
            cr_assert((uint8_t)b.data[i] >= 0x20 && b.data[i] != 0x7f);
        buf_done(&b);
    }
}

/* What out_show() writes. Caller frees. */
static char *shown(struct out *o, json_t *root, const struct out_section *s, int *rc)
{
    char *text = NULL;
    size_t len = 0;
    o->file = open_memstream(&text, &len);
    *rc = out_show(o, root, s, 1, NULL);
    fclose(o->file);
    return text;
}

static const struct out_column columns[] = {{"name", "NAME", OUT_TEXT},
                                            {"n", "N", OUT_NUMBER},
                                            {"age", "AGE", OUT_DURATION},
                                            {"state", "STATE", OUT_STATE}};
static const struct out_section section = {"rows", columns, 4, "nothing"};

static json_t *rows(void)
{
    return json_pack("{s:[{s:s,s:i,s:b,s:i,s:s},{s:s,s:i,s:n,s:s}]}", "rows", "name",
                     "\303\244\303\244", "n", 7, "n_exact", 0, "age", 90000, "state", "ok", "name",
                     "x", "n", 1234, "age", "state", "fault");
}

Test(out, aligns_a_table_by_characters)
{
    struct out o = {0};
    int rc = 0;
    char *text = shown(&o, rows(), &section, &rc);
    cr_assert(rc == JOBQ_OK);
    cr_assert_str_eq(text, "NAME     N  AGE     STATE\n"
                           "\303\244\303\244      ~7  1m 30s  ok\n"
                           "x     1234  -       fault\n");
    free(text);
}

Test(out, aligns_a_table_by_the_columns_of_a_terminal)
{
    struct out o = {0};
    int rc = 0;
    cr_assert(setlocale(LC_CTYPE, "C.UTF-8") != NULL);
    cr_assert(out_width("\346\274\242\345\255\227", 6) == 4, "wide ones take two");
    cr_assert(out_width("e\314\201", 3) == 1, "a combining accent takes none");
    cr_assert(out_width("\360\237\230\200", 4) == 2);
    json_t *root =
        json_pack("{s:[{s:s,s:s},{s:s,s:s}]}", "rows", "name", "\346\274\242\345\255\227", "state",
                  "ok", "name", "abcd", "state", "fault");
    char *text = shown(&o, root, &section, &rc);
    cr_assert_str_eq(text, "NAME  N  AGE  STATE\n"
                           "\346\274\242\345\255\227  -  -    ok\n"
                           "abcd  -  -    fault\n");
    free(text);
}

Test(out, leaves_out_fields_that_tell_nothing)
{
    static const struct out_column fields[] = {
        {"long name of nothing", "long name of nothing", OUT_TEXT},
        {"done", "done", OUT_NUMBER},
        {"refused", "refused", OUT_COUNT},
        {"gone", "gone", OUT_COUNT}};
    static const struct out_section list = {"act", fields, 4, NULL};
    struct out o = {0};
    int rc = 0;
    json_t *root = json_pack("{s:{s:n,s:i,s:i,s:i}}", "act", "long name of nothing", "done", 0,
                             "refused", 0, "gone", 3);
    char *text = shown(&o, root, &list, &rc);
    cr_assert_str_eq(text, "done  0\ngone  3\n");
    free(text);
}

Test(out, says_how_a_list_goes_on)
{
    struct out o = {0};
    int rc = 0;
    char *text =
        shown(&o, json_pack("{s:[{s:s}], s:s}", "rows", "name", "x", "next", "a/0/dead/1-\033"),
              &section, &rc);
    cr_assert(strstr(text, "\nmore: --after a/0/dead/1-\\x1b\n") != NULL, "%s", text);
    free(text);
}

Test(out, escapes_every_control_character_in_json)
{
    struct out o = {.json = true};
    int rc = 0;
    char *text =
        shown(&o, json_pack("{s:s}", "a\177", "\177\033[0m\302\233 x\177\177"), &section, &rc);
    for (const char *c = text; *c != '\0'; c++)
        cr_assert((*c >= 0x20 && *c < 0x7f) || *c == '\n', "%s", text);
    json_t *back = json_loads(text, 0, NULL);
    cr_assert_str_eq(json_string_value(json_object_get(back, "a\177")),
                     "\177\033[0m\302\233 x\177\177");
    json_decref(back);
    free(text);
}

Test(out, colours_states_only_when_asked)
{
    struct out o = {.colour = true};
    int rc = 0;
    char *text = shown(&o, rows(), &section, &rc);
    cr_assert(strstr(text, "\033[32mok\033[0m\n") != NULL &&
                  strstr(text, "\033[31mfault\033[0m\n") != NULL,
              "%s", text);
    free(text);
    o.json = true;
    text = shown(&o, rows(), &section, &rc);
    cr_assert(strchr(text, '\033') == NULL, "%s", text);
    free(text);
}

Test(out, says_so_when_there_is_nothing_and_when_it_cannot_write)
{
    struct out o = {0};
    int rc = 0;
    char *text = shown(&o, json_pack("{s:[]}", "rows"), &section, &rc);
    cr_assert_str_eq(text, "nothing\n");
    free(text);
    jobq_err err = {0};
    o.file = fopen("/dev/full", "w");
    cr_assert(out_show(&o, rows(), &section, 1, &err) == JOBQ_EREJECTED);
    cr_assert(jobq_exit_status(JOBQ_EREJECTED) == 73);
    fclose(o.file);
    o.file = stderr;
    cr_assert(out_show(&o, NULL, &section, 1, &err) == JOBQ_ENOMEM);
}

Test(out, keeps_bytes_of_json_strings_and_mends_bad_ones)
{
    json_t *s = out_string("a\000b", 3);
    cr_assert(json_string_length(s) == 3);
    json_decref(s);
    s = out_string("a\377b", 3);
    cr_assert_str_eq(json_string_value(s), "a?b");
    json_decref(s);
    s = out_string(NULL, 0);
    cr_assert(json_is_null(s));
    json_decref(s);
}
