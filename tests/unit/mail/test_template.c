/* SPDX-License-Identifier: MIT */
/* template: what each tag of the subset does. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "mail_helpers.h"

struct shown {
    const char *source;
    const char *data; /* ' for " */
    const char *text;
};

static void check(const struct shown *cases, size_t n, enum template_escape escape)
{
    for (size_t i = 0; i < n; i++) {
        char *text = render(cases[i].source, cases[i].data, escape);

        cr_expect_str_eq(text, cases[i].text, "%s with %s gave \"%s\"", cases[i].source,
                         cases[i].data, text);
        free(text);
    }
}

#define CHECK(escape, ...)                                                                         \
    do {                                                                                           \
        static const struct shown cases[] = {__VA_ARGS__};                                         \
        check(cases, sizeof(cases) / sizeof(cases[0]), escape);                                    \
    } while (0)

Test(template, shows_values)
{
    CHECK(TEMPLATE_PLAIN, {"", "{}", ""}, {"no tags: } }} { {a}", "{}", "no tags: } }} { {a}"},
          {"Hello {{name}}!", "{'name': 'Bob'}", "Hello Bob!"},
          {"{{ name }}{{\tname\t}}", "{'name': 'x'}", "xx"},
          {"{{a}}{{b}}", "{'a': '1', 'b': '2'}", "12"},
          {"{{i}} {{n}} {{r}} {{t}} {{f}}", "{'i': 85, 'n': -3, 'r': 1.21, 't': true, 'f': false}",
           "85 -3 1.21 true false"},
          {"[{{missing}}|{{nothing}}|{{empty}}]", "{'nothing': null, 'empty': ''}", "[||]"},
          {"{{a-b_C9}}", "{'a-b_C9': 'odd'}", "odd"},
          {"{{x}}", "{'x': '{{y}}', 'y': 'never'}", "{{y}}"}, {"{{x}}", "{'x': 'ö漢😀'}", "ö漢😀"});
}

Test(template, escapes_in_html_only)
{
    CHECK(TEMPLATE_HTML,
          {"{{x}}", "{'x': '& < > \\u0022 \\u0027 ö'}", "&amp; &lt; &gt; &quot; &#39; ö"},
          {"{{{x}}} {{& x}} {{{ x }}}", "{'x': '<b>&'}", "<b>& <b>& <b>&"},
          {"<b>&{{n}}</b>", "{'n': 5}", "<b>&5</b>"},
          {"{{#s}}{{.}}{{/s}}", "{'s': ['<', '>']}", "&lt;&gt;"});
    CHECK(TEMPLATE_PLAIN, {"{{x}}", "{'x': '& < > \\u0022 \\u0027'}", "& < > \" '"},
          {"{{{x}}}{{&x}}", "{'x': '<'}", "<<"});
}

Test(template, follows_dotted_names)
{
    CHECK(TEMPLATE_PLAIN, {"{{a.b.c}}", "{'a': {'b': {'c': 'deep'}}}", "deep"},
          {"{{a.b.c}}|{{a.x.c}}|{{x.b}}", "{'a': {'b': 1}}", "||"},
          {"{{#a.b}}{{c}}{{/a.b}}", "{'a': {'b': {'c': 'in'}}}", "in"},
          {"{{^a.b}}none{{/a.b}}", "{'a': {}}", "none"},
          /* The first part decides: b has no c, so the outer b's c is not seen. */
          {"{{#a}}{{b.c}}{{/a}}", "{'a': {'b': {}}, 'b': {'c': 'wrong'}}", ""},
          {"{{#a}}{{b.c}}{{/a}}", "{'a': {'x': 1}, 'b': {'c': 'outer'}}", "outer"},
          {"{{a.b}}", "{'a.b': 'a name with a dot is not one name'}", ""});
}

Test(template, shows_sections_for_what_is_there)
{
    CHECK(TEMPLATE_PLAIN, {"{{#x}}yes{{/x}}", "{'x': true}", "yes"},
          {"{{#x}}yes{{/x}}", "{'x': 'text'}", "yes"}, {"{{#x}}yes{{/x}}", "{'x': {}}", "yes"},
          {"{{#x}}yes{{/x}}", "{'x': 0}", "yes"}, {"{{#x}}no{{/x}}", "{'x': false}", ""},
          {"{{#x}}no{{/x}}", "{'x': null}", ""}, {"{{#x}}no{{/x}}", "{'x': ''}", ""},
          {"{{#x}}no{{/x}}", "{'x': []}", ""}, {"{{#x}}no{{/x}}", "{}", ""},
          {"{{#x}}{{.}}{{/x}}", "{'x': 'itself'}", "itself"},
          {"{{# x }}a{{/ x }}", "{'x': 1}", "a"});
    CHECK(TEMPLATE_PLAIN, {"{{^x}}no{{/x}}", "{'x': true}", ""},
          {"{{^x}}no{{/x}}", "{'x': {}}", ""}, {"{{^x}}no{{/x}}", "{'x': [1]}", ""},
          {"{{^x}}none{{/x}}", "{'x': false}", "none"}, {"{{^x}}none{{/x}}", "{'x': ''}", "none"},
          {"{{^x}}none{{/x}}", "{'x': []}", "none"}, {"{{^x}}none{{/x}}", "{}", "none"},
          {"{{^x}}{{y}}{{/x}}", "{'y': 'outside'}", "outside"});
}

Test(template, repeats_lists)
{
    CHECK(
        TEMPLATE_PLAIN, {"{{#l}}{{n}},{{/l}}", "{'l': [{'n': 1}, {'n': 2}, {'n': 3}]}", "1,2,3,"},
        {"{{#l}}({{.}}){{/l}}", "{'l': ['a', 1, 2.5, true]}", "(a)(1)(2.5)(true)"},
        {"{{#l}}{{#.}}{{.}}{{/.}};{{/l}}", "{'l': [[1, 2], [3]]}", "12;3;"},
        {"{{#l}}{{n}}{{o}}{{/l}}", "{'l': [{'n': 1}, {'n': 2, 'o': 'in'}], 'o': 'out'}", "1out2in"},
        {"{{#l}}{{^n}}-{{/n}}{{/l}}", "{'l': [{'n': 1}, {}]}", "-"},
        {"{{#l}}{{x}}{{/l}}", "{'l': [{'x': null}], 'x': 'outer, hidden by null'}", ""});
}

Test(template, sees_outer_names_from_inside)
{
    CHECK(TEMPLATE_PLAIN,
          {"{{#a}}{{one}}{{#b}}{{one}}{{two}}{{one}}{{/b}}{{one}}{{/a}}",
           "{'a': {'one': 1}, 'b': {'two': 2}}", "11211"},
          {"{{#a}}{{#b}}{{n}}{{/b}}{{/a}}{{n}}", "{'a': {'n': 'a'}, 'b': {'n': 'b'}, 'n': 'top'}",
           "btop"});
}

Test(template, leaves_comments_out)
{
    CHECK(TEMPLATE_PLAIN, {"12{{! comment }}34", "{}", "1234"}, {"12{{!}}34", "{}", "1234"},
          {"a {{! b\nc\n}} d\n", "{}", "a  d\n"}, {"{{! {{not a tag }}x", "{}", "x"},
          {"{{!x}}{{x}}", "{'x': 1}", "1"}, {"a\n{{! several\n  lines\n}}\nb", "{}", "a\nb"});
}

Test(template, takes_the_whole_line_of_a_tag_alone_on_it)
{
    CHECK(TEMPLATE_PLAIN, {"a\n{{#x}}\nb\n{{/x}}\nc\n", "{'x': 1}", "a\nb\nc\n"},
          {"a\n  {{#x}}  \nb\n\t{{/x}}\t\nc\n", "{'x': 1}", "a\nb\nc\n"},
          {"a\r\n{{#x}}\r\nb\r\n{{/x}}\r\nc", "{'x': 1}", "a\nb\nc"},
          {"{{#x}}\na\n{{/x}}", "{'x': 1}", "a\n"}, {"  {{#x}}\na{{/x}}", "{'x': 1}", "a"},
          {"a\n{{/x", "{}", "t:2: a tag is not closed: }} is missing on its line"},
          {"a\n  {{! c }}\nb", "{}", "a\nb"}, {"a\n{{^x}}\nb\n{{/x}}\n", "{}", "a\nb\n"},
          /* A value keeps its line, and so do two tags or a text beside one. */
          {"a\n {{x}}\nb\n", "{'x': 1}", "a\n 1\nb\n"}, {"a\n{{x}}\nb\n", "{}", "a\n\nb\n"},
          {"{{#x}}{{/x}}\n", "{'x': 1}", "\n"}, {" {{#x}} y {{/x}}\n", "{'x': 1}", "  y \n"},
          {"a {{#x}}\nb\n{{/x}} c\n", "{'x': 1}", "a \nb\n c\n"},
          {"{{! a }} {{! b }}\n", "{}", " \n"},
          {"\n\n{{#x}}\n\n{{/x}}\n\n", "{'x': 1}", "\n\n\n\n"});
}

Test(template, reads_both_line_ends_and_drops_a_byte_order_mark)
{
    CHECK(TEMPLATE_PLAIN, {"\xEF\xBB\xBF{{x}}\r\nb\n", "{'x': 1}", "1\nb\n"},
          {"\xEF\xBB\xBF{{#x}}\r\nb\r\n{{/x}}\r\n", "{'x': 1}", "b\n"});
}

Test(template, renders_the_same_many_times)
{
    static const char source[] = "{{#l}}\n<{{a.b}}>\n{{/l}}\n{{^l}}none{{/l}}";
    struct mail_fault why = {0};
    struct template *t;
    json_t *some = json_of("{'l': [1, 2], 'a': {'b': 'x'}}");
    json_t *none = json_of("{}");
    struct bytes out;

    cr_assert(template_parse("t", source, strlen(source), NULL, &t, &why));
    bytes_init(&out, 100);
    for (int i = 0; i < 100; i++) {
        bytes_clear(&out);
        cr_assert(template_render(t, i % 2 ? some : none, TEMPLATE_PLAIN, &out, &why));
        cr_assert_str_eq(out.data, i % 2 ? "<x>\n<x>\n" : "none");
    }
    bytes_done(&out);
    template_free(t);
    json_decref(some);
    json_decref(none);
}
