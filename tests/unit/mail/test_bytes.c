/* SPDX-License-Identifier: MIT */
/* bytes, fault, utf8: the plumbing of the mails' text. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "worker/handlers/common/utf8.h"
#include "worker/handlers/mail/bytes.h"
#include "worker/handlers/mail/fault.h"

Test(bytes, never_grow_past_their_ceiling_and_remember_it)
{
    struct bytes b;

    bytes_init(&b, 5);
    bytes_add_text(&b, "abc");
    bytes_add_text(&b, "def");
    cr_assert(b.state == BYTES_FULL && b.len == 3);
    bytes_add_char(&b, 'x');
    cr_assert(b.len == 3, "nothing is added after a failure");
    cr_assert_null(bytes_take(&b));
    bytes_clear(&b);
    bytes_add_text(&b, "12345");
    cr_assert(b.state == BYTES_OK);
    cr_assert_str_eq(b.data, "12345");
    bytes_done(&b);
    cr_assert(b.max == 5 && b.data == NULL);
}

Test(bytes, give_a_string_even_of_nothing)
{
    struct bytes b;
    char *text;

    bytes_init(&b, 0);
    text = bytes_take(&b);
    cr_assert_str_eq(text, "");
    free(text);
}

Test(bytes, keep_what_is_added_over_many_growths)
{
    struct bytes b;

    bytes_init(&b, 100000);
    for (int i = 0; i < 100000; i++)
        bytes_add_char(&b, (char)('a' + i % 26));
    cr_assert(b.state == BYTES_OK && b.len == 100000);
    for (int i = 0; i < 100000; i++)
        cr_assert(b.data[i] == (char)('a' + i % 26));
    bytes_done(&b);
}

Test(mail_fault, is_one_line_whatever_is_put_into_it)
{
    struct mail_fault why = {0};

    cr_assert(!mail_fault_set(&why, MAIL_FAULT_DATA, "a%sb\xff%s", "\r\n", "\xc2\x85\xe2\x80\xa8"));
    cr_assert_str_eq(why.text, "a??b???");
    cr_assert(why.kind == MAIL_FAULT_DATA);
    cr_assert(!mail_fault_prefix(&why, "%s", "p"));
    cr_assert_str_eq(why.text, "p: a??b???");
    cr_assert(!mail_fault_set(NULL, MAIL_FAULT_DATA, "nobody listens"));
}

Test(utf8, knows_what_is_a_character)
{
    static const struct {
        const char *bytes;
        size_t size;
        uint32_t code;
    } cases[] = {
        {"a", 1, 'a'},
        {"\xc3\xb6", 2, 0xF6},
        {"\xe2\x82\xac", 3, 0x20AC},
        {"\xf0\x9f\x98\x80", 4, 0x1F600},
        {"\xf4\x8f\xbf\xbf", 4, 0x10FFFF},
        {"\xee\x80\x80", 3, 0xE000},
        {"\xc3", 0, 0},     /* cut off */
        {"\xc3\x28", 0, 0}, /* no continuation */
        {"\x80", 0, 0},     /* a continuation alone */
        {"\xc0\xaf", 0, 0}, /* overlong */
        {"\xe0\x80\xaf", 0, 0},
        {"\xf0\x80\x80\x8a", 0, 0}, /* an overlong line feed */
        {"\xed\xa0\x80", 0, 0},     /* a surrogate */
        {"\xf4\x90\x80\x80", 0, 0}, /* beyond the last one */
        {"\xf5\x80\x80\x80", 0, 0},
        {"\xff", 0, 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t code = 0;

        cr_assert(utf8_next(cases[i].bytes, strlen(cases[i].bytes), &code) == cases[i].size,
                  "case %zu", i);
        cr_assert(code == cases[i].code, "case %zu", i);
    }
    cr_assert(utf8_next("", 0, NULL) == 0);
}
