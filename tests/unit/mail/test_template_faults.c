/* SPDX-License-Identifier: MIT */
/* template: what is refused, where, and with which words; and what data cannot make it do. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mail_helpers.h"
#include "tests/support/support.h"

static const char *fault_of(const char *source)
{
    return parse_fault(source, strlen(source), NULL);
}

Test(template, names_file_and_line_of_a_fault)
{
    cr_assert_str_eq(fault_of("a\nb{{#x}}\nc"), "t:2: {{/x}} is missing");
    cr_assert_str_eq(fault_of("{{#a}}\n\n{{#b}}\n{{/a}}{{/b}}"),
                     "t:4: {{/a}} where {{/b}} is due, opened in line 3");
    cr_assert_str_eq(fault_of("\r\n\r\n{{/x}}"),
                     "t:3: {{/x}} closes a section that was not opened");
    cr_assert_str_eq(fault_of("{{x"), "t:1: a tag is not closed: }} is missing on its line");
    cr_assert_str_eq(fault_of("{{x\n}}"), "t:1: a tag is not closed: }} is missing on its line");
    cr_assert_str_eq(fault_of("{{{x}}"), "t:1: a tag is not closed: }}} is missing on its line");
    cr_assert_str_eq(fault_of("\n{{! x\n\n"), "t:2: a tag is not closed: }} is missing");
    cr_assert_str_eq(fault_of("{{! a\nb\n}}\n{{}}"), "t:4: a tag without a name");
    cr_assert_str_eq(fault_of("{{"), "t:1: a tag is not closed: }} is missing on its line");
    cr_assert_str_eq(fault_of("{{#}}{{/}}"), "t:1: a tag without a name");
    cr_assert_str_eq(fault_of("{{{}}}"), "t:1: a tag without a name");
}

Test(template, says_what_is_allowed_in_place_of_what_is_not)
{
    static const char *const others[] = {"{{>partial}}", "{{=<% %>=}}", "{{$block}}{{/block}}",
                                         "{{<parent}}{{/parent}}"};

    for (size_t i = 0; i < 4; i++) {
        const char *text = fault_of(others[i]);

        cr_assert_not_null(strstr(text, fmt("t:1: {{%c is not supported; allowed are {{x}}, "
                                            "{{{x}}}, {{&x}}, {{#x}}, {{^x}}, {{/x}}",
                                            others[i][2])),
                           "%s", text);
    }
}

Test(template, refuses_names_that_are_none)
{
    static const char *const bad[] = {"{{a b}}", "{{.a}}",   "{{a.}}", "{{a..b}}",        "{{..}}",
                                      "{{a/b}}", "{{a(b)}}", "{{ö}}",  "{{#a b}}{{/a b}}"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert_not_null(strstr(fault_of(bad[i]), "is not a name"), "%s", bad[i]);
    cr_assert_str_eq(fault_of(fmt("{{%064d}}", 0)), "");
    cr_assert_str_eq(fault_of(fmt("{{%065d}}", 0)), "t:1: a name longer than 64 bytes");
}

Test(template, refuses_bytes_that_no_mail_may_hold)
{
    cr_assert_str_eq(parse_fault("a\nb\0c", 5, NULL), "t:2: control character U+0000");
    cr_assert_str_eq(fault_of("a\rb"), "t:1: control character U+000D");
    cr_assert_str_eq(fault_of("\x1b[0m"), "t:1: control character U+001B");
    cr_assert_str_eq(fault_of("\n\n\x7f"), "t:3: control character U+007F");
    cr_assert_str_eq(fault_of("\xc2\x85"), "t:1: control character U+0085");
    cr_assert_str_eq(fault_of("a\nb\xff"), "t:2: byte 0xff is not UTF-8");
    cr_assert_str_eq(fault_of("M\xfcller"), "t:1: byte 0xfc is not UTF-8");
    cr_assert_str_eq(fault_of("cut \xe2\x82"), "t:1: byte 0xe2 is not UTF-8");
    cr_assert_str_eq(fault_of("tab\t is fine"), "");
}

Test(template, knows_only_the_names_it_was_given)
{
    static const char *const names[] = {"user.name", "user.mail", "link", NULL};
    static const char *const good[] = {
        "{{user.name}}{{link}}",
        "{{#user}}{{name}}{{link}}{{/user}}",
        "{{#user.name}}{{user.mail}}{{.}}{{/user.name}}",
        "{{#link}}{{#user}}{{mail}}{{/user}}{{.}}{{/link}}",
        "{{^user}}{{link}}{{/user}}",
        "{{#link}}{{#.}}{{.}}{{/.}}{{/link}}",
        "{{! anything }}",
    };
    static const char *const bad[] = {
        "{{user.nam}}",
        "{{user.names}}",
        "{{use}}",
        "{{user}}", /* an object: only a section can show it */
        "{{#user}}{{nick}}{{/user}}",
        "{{#link}}{{name}}{{/link}}",
        "{{#nobody}}{{/nobody}}",
        "{{.}}",
        "{{#user}}{{.}}{{/user}}",
        "{{name}}",
        "{{link.name}}",
    };

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        cr_assert_str_eq(parse_fault(good[i], strlen(good[i]), names), "", "%s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert_not_null(strstr(parse_fault(bad[i], strlen(bad[i]), names), "no value is called"),
                           "%s", bad[i]);
    cr_assert_str_eq(parse_fault("\n{{usr}}", 8, names),
                     "t:2: no value is called \"usr\"; there are user.name, user.mail, link");
}

static char *repeat(const char *text, size_t n)
{
    size_t len = strlen(text);
    char *out = malloc(len * n + 1);

    for (size_t i = 0; i < n; i++)
        memcpy(out + i * len, text, len);
    out[len * n] = '\0';
    return out;
}

Test(template, limits_the_depth_of_sections)
{
    char *open = repeat("{{#a}}", TEMPLATE_DEPTH_MAX);
    char *close = repeat("{{/a}}", TEMPLATE_DEPTH_MAX);
    char *source = NULL;
    char *text;

    cr_assert(asprintf(&source, "%sx%s", open, close) > 0);
    text = render(source, "{'a': 1}", TEMPLATE_PLAIN);
    cr_assert_str_eq(text, "x");
    free(text);
    free(source);
    cr_assert(asprintf(&source, "%s{{^b}}x{{/b}}%s", open, close) > 0);
    cr_assert_str_eq(fault_of(source), "t:1: more than 16 sections inside each other");
    free(source);
    free(open);
    free(close);
}

Test(template, limits_the_length_of_its_source)
{
    char *source = repeat("x", TEMPLATE_SOURCE_MAX + 1);

    cr_assert_str_eq(parse_fault(source, TEMPLATE_SOURCE_MAX, NULL), "");
    cr_assert_str_eq(parse_fault(source, TEMPLATE_SOURCE_MAX + 1, NULL),
                     "t: longer than 262144 bytes");
    free(source);
}

Test(template, reads_a_source_of_tags_alone_in_time)
{
    char *source = repeat("{{a}}", TEMPLATE_SOURCE_MAX / 5);

    cr_assert_str_eq(fault_of(source), "");
    free(source);
    source = repeat(" ", TEMPLATE_SOURCE_MAX);
    memcpy(source + TEMPLATE_SOURCE_MAX - 6, "{{! }}", 6);
    cr_assert_str_eq(fault_of(source), "");
    free(source);
}

Test(template, shows_a_list_or_an_object_only_in_a_section)
{
    char *text = render("\n{{a.b}}", "{'a': {'b': [1]}}", TEMPLATE_PLAIN);

    cr_assert_str_eq(text, "t:2: a.b is a list or an object, which only a section can show");
    free(text);
    text = render("{{a}}", "{'a': {}}", TEMPLATE_PLAIN);
    cr_assert_str_eq(text, "t:1: a is a list or an object, which only a section can show");
    free(text);
}

Test(template, stops_at_the_ceiling_of_its_output)
{
    char *value = repeat("<", 20000);
    char *data = NULL;
    char *text;

    cr_assert(asprintf(&data, "{'x': '%s'}", value) > 0);
    text = render("{{x}}", data, TEMPLATE_HTML);
    cr_assert_str_eq(text, "t: renders to more than 65536 bytes", "80,000 bytes once escaped");
    free(text);
    text = render("{{x}}", data, TEMPLATE_PLAIN);
    cr_assert_str_eq(text, value);
    free(text);
    free(data);
    free(value);
}

/* 1,000 x 1,000 x 1,000 rounds of nothing: no output, but hours. */
Test(template, stops_a_rendering_that_would_not_end)
{
    char *elements = repeat("1,", 999);
    char *data = NULL;
    char *text;

    cr_assert(asprintf(&data, "{'l': [%s1]}", elements) > 0);
    text = render("{{#l}}{{#l}}{{#l}}{{/l}}{{/l}}{{/l}}", data, TEMPLATE_PLAIN);
    cr_assert_str_eq(text, "t: more than 200000 steps to render");
    free(text);
    text = render("{{#l}}{{#l}}{{#l}}{{x}}{{/l}}{{/l}}{{/l}}", data, TEMPLATE_PLAIN);
    cr_assert_str_eq(text, "t: more than 200000 steps to render");
    free(text);
    free(data);
    free(elements);
}
