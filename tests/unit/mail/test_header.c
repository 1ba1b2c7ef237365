/* SPDX-License-Identifier: MIT */
/* header: lines, folding, refusals. Decoding by another program is in test_message.c. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"
#include "worker/handlers/mail/header.h"

static struct bytes out;
static struct mail_fault why;

static void begin(void)
{
    bytes_init(&out, 100000);
    why = (struct mail_fault){0};
}

static void end(void)
{
    bytes_done(&out);
}

TestSuite(header, .init = begin, .fini = end);

static const char *text(const char *value)
{
    bytes_clear(&out);
    return header_text(&out, "Subject", value, MAIL_FAULT_DATA, &why) ? out.data : why.text;
}

static const char *from(const char *name, const char *addr)
{
    struct address address;

    cr_assert(address_make(name, addr, MAIL_FAULT_DATA, &address, &why), "%s", why.text);
    bytes_clear(&out);
    return header_address(&out, "From", &address, &why) ? out.data : why.text;
}

static void check_lines(const char *header, size_t max)
{
    for (const char *line = header; *line;) {
        size_t len = strcspn(line, "\r");

        cr_assert(len <= max, "%zu: %s", len, header);
        cr_assert(strncmp(line + len, "\r\n", 2) == 0, "%s", header);
        cr_assert(line[strspn(line, " \r")], "a line of blanks: %s", header);
        line += len + 2;
        cr_assert(*line == '\0' || *line == ' ', "%s", header);
    }
}

Test(header, writes_plain_text_as_it_is)
{
    cr_assert_str_eq(text("A reply"), "Subject: A reply\r\n");
    cr_assert_str_eq(text("x"), "Subject: x\r\n");
    cr_assert_str_eq(text("? = ?= <b> \"q\" (c)"), "Subject: ? = ?= <b> \"q\" (c)\r\n");
}

Test(header, encodes_what_is_not_plain_the_shorter_way)
{
    cr_assert_str_eq(text("Größe"), "Subject: =?UTF-8?B?R3LDtsOfZQ==?=\r\n");
    cr_assert_str_eq(text("a caf\xc3\xa9 in Prague"),
                     "Subject: =?UTF-8?Q?a_caf=C3=A9_in_Prague?=\r\n");
    cr_assert_str_eq(text("漢字漢字"), "Subject: =?UTF-8?B?5ryi5a2X5ryi5a2X?=\r\n");
    cr_assert_str_eq(text(" x"), "Subject: =?UTF-8?Q?_x?=\r\n");
    cr_assert_str_eq(text("x "), "Subject: =?UTF-8?Q?x_?=\r\n");
    cr_assert_str_eq(text("a  b"), "Subject: =?UTF-8?Q?a__b?=\r\n");
    /* What looks encoded must come out as it went in. */
    cr_assert_str_eq(text("=?x"), "Subject: =?UTF-8?B?PT94?=\r\n");
}

Test(header, folds_long_plain_text_at_its_spaces)
{
    const char *header = text("one two three four five six seven eight nine ten eleven twelve "
                              "thirteen fourteen fifteen sixteen seventeen");

    cr_assert_str_eq(header,
                     "Subject: one two three four five six seven eight nine ten eleven twelve\r\n"
                     " thirteen fourteen fifteen sixteen seventeen\r\n");
}

static const char *letters(size_t n)
{
    static char word[2000];

    memset(word, 'w', n);
    word[n] = '\0';
    return word;
}

Test(header, never_makes_a_line_longer_than_78)
{
    for (size_t n = 60; n < 100; n++) {
        check_lines(text(letters(n)), 78);
        check_lines(text(fmt("a %s", letters(n))), 78);
        check_lines(text(fmt("%s b", letters(n))), 78);
    }
    cr_assert_str_eq(text(letters(69)), fmt("Subject: %s\r\n", letters(69)), "78 characters");
    cr_assert(strstr(text(letters(70)), "=?UTF-8?Q?wwww") != NULL, "79 can only be encoded");
    check_lines(text(letters(1500)), 78);
}

Test(header, quotes_or_encodes_display_names)
{
    cr_assert_str_eq(from(NULL, "a@b.example"), "From: a@b.example\r\n");
    cr_assert_str_eq(from("", "a@b.example"), "From: a@b.example\r\n");
    cr_assert_str_eq(from("  ", "a@b.example"), "From: a@b.example\r\n");
    cr_assert_str_eq(from("The Forum", "a@b.example"), "From: The Forum <a@b.example>\r\n");
    cr_assert_str_eq(from("Forum, the", "a@b.example"), "From: \"Forum, the\" <a@b.example>\r\n");
    cr_assert_str_eq(from("A.", "a@b.example"), "From: \"A.\" <a@b.example>\r\n");
    cr_assert_str_eq(from(" a ", "a@b.example"), "From: \" a \" <a@b.example>\r\n");
    cr_assert_str_eq(from("\"\\<evil@x>", "a@b.example"),
                     "From: \"\\\"\\\\<evil@x>\" <a@b.example>\r\n");
    cr_assert_str_eq(from("Größe", "a@b.example"),
                     "From: =?UTF-8?B?R3LDtsOfZQ==?= <a@b.example>\r\n");
    cr_assert_str_eq(from("=?x?=", "a@b.example"), "From: =?UTF-8?B?PT94Pz0=?= <a@b.example>\r\n");
}

Test(header, folds_before_an_address_that_does_not_fit)
{
    char name[256];
    char addr[256];

    for (size_t n = 1; n < 255; n++) {
        memset(name, n % 2 ? 'n' : ',', n);
        name[n] = '\0';
        snprintf(addr, sizeof(addr), "%.64s@b.example", letters(n));
        check_lines(from(name, addr), 78);
    }
    memset(name, 'n', 60);
    name[60] = '\0';
    cr_assert_str_eq(from(name, "someone@somewhere.example"),
                     fmt("From: %s\r\n <someone@somewhere.example>\r\n", name));
}

Test(header, refuses_control_characters_everywhere)
{
    static const char *const bad[] = {
        "a\r\nBcc: evil@x", "a\nb",         "a\rb",         "a\tb", "\x01", "\x7f",   "\xc2\x80",
        "\xc2\x9f",         "\xe2\x80\xa8", "\xe2\x80\xa9", "a\n",  "\na",  "\x1b[0m"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct address hand = {.name = "", .addr = "a@b"};
        const char *ids[] = {bad[i]};

        cr_assert(!header_is_clean(bad[i]));
        cr_assert(strstr(text(bad[i]), "Subject holds the control character U+"), "%s", bad[i]);
        cr_assert(out.len == 0);
        /* Even one that did not come from address_make(). */
        snprintf(hand.name, sizeof(hand.name), "%s", bad[i]);
        cr_assert(!header_address(&out, "To", &hand, &why));
        hand.name[0] = '\0';
        snprintf(hand.addr, sizeof(hand.addr), "a@b%s", bad[i]);
        cr_assert(!header_address(&out, "To", &hand, &why));
        cr_assert(!header_token(&out, "X", bad[i], MAIL_FAULT_DATA, &why));
        cr_assert(!header_ids(&out, "References", ids, 1, MAIL_FAULT_DATA, &why));
        cr_assert(
            !header_unsubscribe(&out, fmt("https://x/%s", bad[i]), true, MAIL_FAULT_DATA, &why));
        cr_assert(out.len == 0, "nothing was written");
    }
    cr_assert_str_eq(text("a\xff"), "Subject is not UTF-8");
    cr_assert_str_eq(text("\xc0\x8d\xc0\x8a"), "Subject is not UTF-8", "an overlong CR LF");
    cr_assert_str_eq(text(""), "Subject is empty");
}

Test(header, cleans_texts_of_users)
{
    static const struct {
        const char *before, *after;
    } cases[] = {
        {"", ""},
        {"Größe 漢 😀", "Größe 漢 😀"},
        {"a\r\nBcc: x", "a  Bcc: x"},
        {"a\tb\x01\x7f", "a b  "},
        {"a\xc2\x85z\xe2\x80\xa8y", "a z y"},
        {"a\xff\xc3z\xe2\x82", "a??z??"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char value[64];

        snprintf(value, sizeof(value), "%s", cases[i].before);
        header_clean(value);
        cr_assert_str_eq(value, cases[i].after);
        cr_assert(header_is_clean(value));
    }
}

Test(header, writes_dates_of_rfc_5322)
{
    static const struct {
        int64_t ms;
        const char *line;
    } cases[] = {
        {0, "Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n"},
        {INT64_C(951782399999), "Date: Mon, 28 Feb 2000 23:59:59 +0000\r\n"},
        {INT64_C(951782400000), "Date: Tue, 29 Feb 2000 00:00:00 +0000\r\n"},
        {INT64_C(1795421640000), "Date: Mon, 23 Nov 2026 08:14:00 +0000\r\n"},
        {INT64_C(253402300799999), "Date: Fri, 31 Dec 9999 23:59:59 +0000\r\n"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bytes_clear(&out);
        cr_assert(header_date(&out, cases[i].ms, &why));
        cr_assert_str_eq(out.data, cases[i].line);
    }
    cr_assert(!header_date(&out, -1, &why));
    cr_assert(!header_date(&out, INT64_C(253402300800000), &why));
    cr_assert(!header_date(&out, INT64_MAX, &why));
}

Test(header, writes_ids_and_folds_between_them)
{
    const char *ids[] = {"a@b", "thread.17@a-long-name-of-a-forum.example",
                         "reply.123456@a-long-name-of-a-forum.example"};

    cr_assert(header_ids(&out, "References", ids, 3, MAIL_FAULT_DATA, &why));
    cr_assert_str_eq(out.data, "References: <a@b> <thread.17@a-long-name-of-a-forum.example>\r\n"
                               " <reply.123456@a-long-name-of-a-forum.example>\r\n");
    cr_assert(!header_ids(&out, "References", ids, 0, MAIL_FAULT_DATA, &why));
}

Test(header, knows_what_is_a_message_id)
{
    static const char *const bad[] = {
        "",     "a",    "a@",     "@b",   "a@b@c", "a b@c", "a@b c",   "<a@b",  "a@b>", "a@b,c",
        ".a@b", "a.@b", "a..b@c", "a@.b", "a@b.",  "a@[1]", "\"a\"@b", "a:b@c", "ö@b"};
    char longest[300];

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert(!header_id_is_valid(bad[i]), "%s", bad[i]);
    cr_assert(header_id_is_valid("a@b"));
    cr_assert(header_id_is_valid("a.b-c_d+e=f@x.y"));
    snprintf(longest, sizeof(longest), "%s@b", letters(HEADER_ID_MAX - 2));
    cr_assert(header_id_is_valid(longest));
    snprintf(longest, sizeof(longest), "%s@b", letters(HEADER_ID_MAX - 1));
    cr_assert(!header_id_is_valid(longest));
}

Test(header, writes_unsubscribe_with_one_click_for_https_alone)
{
    cr_assert(header_unsubscribe(&out, "https://f.example/u/1/x/", true, MAIL_FAULT_DATA, &why));
    cr_assert_str_eq(out.data, "List-Unsubscribe: <https://f.example/u/1/x/>\r\n"
                               "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n");
    bytes_clear(&out);
    cr_assert(header_unsubscribe(&out, "https://f.example/", false, MAIL_FAULT_DATA, &why));
    cr_assert_str_eq(out.data, "List-Unsubscribe: <https://f.example/>\r\n");
    bytes_clear(&out);
    cr_assert(header_unsubscribe(&out, "HTTP://f.example/", true, MAIL_FAULT_DATA, &why));
    cr_assert_str_eq(out.data, "List-Unsubscribe: <HTTP://f.example/>\r\n");
}

Test(header, refuses_unsubscribe_urls_that_are_more_than_one)
{
    static const char *const bad[] = {"",
                                      "f.example",
                                      "mailto:a@b",
                                      "javascript:alert(1)",
                                      "https://x/> <https://y/",
                                      "https://x/,<https://y/>",
                                      "https://x/ y",
                                      "https://x/\"",
                                      "https://b\xc3\xbc/"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert(!header_unsubscribe(&out, bad[i], true, MAIL_FAULT_SETTING, &why), "%s", bad[i]);
        cr_assert(why.kind == MAIL_FAULT_SETTING && out.len == 0);
    }
    cr_assert(
        header_unsubscribe(&out, fmt("https://%s", letters(970)), true, MAIL_FAULT_DATA, &why));
    check_lines("", 0);
    cr_assert(strcspn(out.data, "\r") == HEADER_HARD_MAX);
    cr_assert(
        !header_unsubscribe(&out, fmt("https://%s", letters(971)), true, MAIL_FAULT_DATA, &why));
}

Test(header, folds_tokens_and_never_encodes_them)
{
    cr_assert(header_token(&out, "Auto-Submitted", "auto-generated", MAIL_FAULT_DATA, &why));
    cr_assert_str_eq(out.data, "Auto-Submitted: auto-generated\r\n");
    cr_assert(!header_token(&out, "X", "", MAIL_FAULT_DATA, &why));
    cr_assert(!header_token(&out, "X", " a", MAIL_FAULT_DATA, &why));
    cr_assert(!header_token(&out, "X", "a ", MAIL_FAULT_DATA, &why));
    cr_assert(!header_token(&out, "X", "a  b", MAIL_FAULT_DATA, &why));
    cr_assert(!header_token(&out, "X", "ö", MAIL_FAULT_DATA, &why));
    cr_assert(header_token(&out, "X", letters(995), MAIL_FAULT_DATA, &why));
    cr_assert(!header_token(&out, "X", letters(996), MAIL_FAULT_DATA, &why));
}
