/* SPDX-License-Identifier: MIT */
/* address: what is an address, what is none, and that nothing which passes can inject. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"
#include "worker/handlers/mail/address.h"

static struct address out;

/* The fault's text, "" when it is an address. */
static const char *parse_bytes(const char *text, size_t len)
{
    struct mail_fault why = {0};
    char *exact = malloc(len > 0 ? len : 1);
    bool is_parsed;

    memcpy(exact, text, len);
    is_parsed = address_parse(exact, len, MAIL_FAULT_SETTING, &out, &why);
    free(exact);
    cr_assert(why.kind == (is_parsed ? MAIL_FAULT_NONE : MAIL_FAULT_SETTING));
    return fmt("%s", why.text);
}

static const char *parse(const char *text)
{
    return parse_bytes(text, strlen(text));
}

static void check(const char *text, const char *name, const char *addr, const char *domain)
{
    const char *fault = parse(text);

    cr_assert_str_eq(fault, "", "%s", text);
    cr_assert_str_eq(out.name, name, "%s", text);
    cr_assert_str_eq(out.addr, addr, "%s", text);
    cr_assert_str_eq(out.addr + out.domain_at, domain, "%s", text);
}

Test(address, reads_every_usual_form)
{
    check("bob@mail.example", "", "bob@mail.example", "mail.example");
    check("  bob@mail.example ", "", "bob@mail.example", "mail.example");
    check("<bob@mail.example>", "", "bob@mail.example", "mail.example");
    check("Bob <bob@mail.example>", "Bob", "bob@mail.example", "mail.example");
    check("Bob<bob@mail.example>", "Bob", "bob@mail.example", "mail.example");
    check("  The   Forum  <no-reply@f.example>  ", "The   Forum", "no-reply@f.example",
          "f.example");
    check("Dr. Bob's forum! <b@x.org>", "Dr. Bob's forum!", "b@x.org", "x.org");
    check("\"Bob, the \\\"B\\\" \\\\ <x@y>\" <bob@mail.example>", "Bob, the \"B\" \\ <x@y>",
          "bob@mail.example", "mail.example");
    check("\"\" <bob@mail.example>", "", "bob@mail.example", "mail.example");
    check("Größe 漢字 😀 <bob@mail.example>", "Größe 漢字 😀", "bob@mail.example", "mail.example");
}

Test(address, takes_what_may_stand_before_the_at)
{
    check("a@b", "", "a@b", "b");
    check("!#$%&'*+-/=?^_`{|}~@x.org", "", "!#$%&'*+-/=?^_`{|}~@x.org", "x.org");
    check("first.last+tag@x.org", "", "first.last+tag@x.org", "x.org");
    check("\"two words\"@x.org", "", "\"two words\"@x.org", "x.org");
    check("\"a,b;c:d(e)\"@x.org", "", "\"a,b;c:d(e)\"@x.org", "x.org");
    check("Bob <\"two words\"@x.org>", "Bob", "\"two words\"@x.org", "x.org");
}

Test(address, takes_domains_and_literals)
{
    check("a@localhost", "", "a@localhost", "localhost");
    check("a@1and1.com", "", "a@1and1.com", "1and1.com");
    check("a@x-y.Example.ORG", "", "a@x-y.Example.ORG", "x-y.Example.ORG");
    check("a@xn--bcher-kva.example", "", "a@xn--bcher-kva.example", "xn--bcher-kva.example");
    check("a@[127.0.0.1]", "", "a@[127.0.0.1]", "[127.0.0.1]");
    check("a@[IPv6:2001:db8::1]", "", "a@[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]");
    check("A <a@[127.0.0.1]>", "A", "a@[127.0.0.1]", "[127.0.0.1]");
}

Test(address, says_when_the_server_must_offer_smtputf8)
{
    cr_assert_str_eq(parse("Größe <bob@mail.example>"), "");
    cr_assert(!out.utf8, "a name is encoded");
    cr_assert_str_eq(parse("bücher@mail.example"), "");
    cr_assert(out.utf8);
    cr_assert_str_eq(parse("bob@bücher.example"), "");
    cr_assert(out.utf8);
    cr_assert_str_eq(parse("用户@例子.测试"), "");
    cr_assert(out.utf8);
}

static const char *filled(char c, size_t n)
{
    char text[300];

    memset(text, c, n);
    text[n] = '\0';
    return fmt("%s", text);
}

Test(address, keeps_to_the_lengths_of_smtp)
{
    char label[64];

    snprintf(label, sizeof(label), "%s", filled('d', 63));

    cr_assert_str_eq(parse(fmt("%s@x.org", filled('a', 64))), "");
    cr_assert_str_eq(parse(fmt("%s@x.org", filled('a', 65))), "more than 64 bytes before the @");
    cr_assert_str_eq(parse(fmt("a@%s.org", label)), "");
    cr_assert_str_eq(parse(fmt("a@%sd.org", label)),
                     "a part of the domain is longer than 63 characters");
    /* 64 + 1 + 3 x 63 + 2 dots is 256: one label two shorter is 254, the longest. */
    cr_assert_str_eq(parse(fmt("%s@%s.%s.%s", filled('a', 64), label, label, filled('d', 61))), "");
    cr_assert(strlen(out.addr) == 254);
    cr_assert_str_eq(parse(fmt("%s@%s.%s.%s", filled('a', 64), label, label, filled('d', 62))),
                     "the address is longer than 254 bytes");
    cr_assert_str_eq(parse(fmt("%s <a@b>", filled('n', 255))), "");
    cr_assert_str_eq(parse(fmt("%s <a@b>", filled('n', 256))), "the name is longer than 255 bytes");
    cr_assert_str_eq(parse(fmt("\"%s\" <a@b>", filled('n', 255))), "");
    cr_assert_str_eq(parse(fmt("\"%s\" <a@b>", filled('n', 256))),
                     "the name is longer than 255 bytes");
    /* Bytes count, not characters. */
    cr_assert_str_eq(parse(fmt("%s\xc3\xb6@x.org", filled('a', 62))), "");
    cr_assert_str_eq(parse(fmt("%s\xc3\xb6@x.org", filled('a', 63))),
                     "more than 64 bytes before the @");
}

Test(address, refuses_everything_that_could_inject)
{
    static const char *const bad[] = {
        "a@b>\r\nRCPT TO:<evil@x",
        "a@b\r\nRCPT TO:<evil@x>",
        "a@b\nData",
        "a@b\r",
        "\n a@b",
        "a\tb@c",
        "Bob\r\nBcc: evil@x <a@b>",
        "\"Bob\r\n Bcc: evil@x\" <a@b>",
        "Bob\x7f <a@b>",
        "Bob\xc2\x85 <a@b>",
        "Bob\xe2\x80\xa8 <a@b>",
        "a@b> SIZE=1",
        "<a@b> SIZE=1",
        "<a@b>, <c@d>",
        "a@b, c@d",
        "a@b c@d",
        "a@b;c@d",
        "<a@b><c@d>",
        "<<a@b>>",
        "a<b@c",
        "<a@b",
        "a@b>",
        "<a@b>>",
        "group: a@b;",
        "<@relay,@two:a@b>",
        "<@relay:a@b>",
        "a(comment)@b",
        "a@b(comment)",
        "Bob (comment) <a@b>",
        "\"a>b\"@c",
        "\"a<b\"@c",
        "\"a@b\"@c",
        "\"a\\\"b\"@c",
        "\"a\\b\"@c",
        "\"a\"b@c",
        "\"\"@c",
        "\"a@c",
        "a\"b\"@c",
        "\"a\"\"b\"@c",
        "\"name\" more <a@b>",
        "\"name <a@b>",
        "\"name\\\" <a@b>",
        "Bob, Ann <a@b>",
        "Bob; <a@b>",
        "Bob: <a@b>",
        "bob@x <a@b>",
        "=?UTF-8?Q?B?= <a@b>",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect(parse(bad[i])[0], "%s", bad[i]);
    cr_assert_str_eq(parse_bytes("a@b\0c", 5), "the address holds the control character U+0000");
    cr_assert_str_eq(parse_bytes("a\0@b", 4), "the address holds the control character U+0000");
    cr_assert_str_eq(parse_bytes("N\0 <a@b>", 8), "the address holds the control character U+0000");
}

Test(address, says_what_is_wrong)
{
    static const struct {
        const char *text, *fault;
    } cases[] = {
        {"", "the address is empty"},
        {"<>", "the address is empty"},
        {"Bob <>", "the address is empty"},
        {"   ", "the address is empty"},
        {"bob", "the address has no @"},
        {"@x.org", "there is nothing before the @"},
        {"bob@", "there is nothing after the @"},
        {"bob smith@x.org", "the part before the @ holds a blank"},
        {"a@b@c", "the domain holds @"},
        {".a@b", "the part before the @ begins or ends with a dot, or has two together"},
        {"a.@b", "the part before the @ begins or ends with a dot, or has two together"},
        {"a..b@c", "the part before the @ begins or ends with a dot, or has two together"},
        {"a@.b", "the domain begins or ends with a dot, or has two together"},
        {"a@b.", "the domain begins or ends with a dot, or has two together"},
        {"a@b..c", "the domain begins or ends with a dot, or has two together"},
        {"a@-b.c", "a part of the domain begins or ends with a hyphen"},
        {"a@b-.c", "a part of the domain begins or ends with a hyphen"},
        {"a@b_c.d", "the domain holds _"},
        {"a@b c", "the domain holds a blank"},
        {"a@[1.2.3]", "the domain in brackets is not an IP address"},
        {"a@[", "the domain in brackets is not an IP address"},
        {"a@[]", "the domain in brackets is not an IP address"},
        {"a@[1.2.3.4", "the domain in brackets is not an IP address"},
        {"a@[1.2.3.4]x", "the domain in brackets is not an IP address"},
        {"a@[2001:db8::1]", "the domain in brackets is not an IP address"},
        {"a@[IPv6:1.2.3.4]", "the domain in brackets is not an IP address"},
        {"Bob, Ann <a@b>", "the name holds ,: put it into double quotes"},
        {"a@b\xff", "the address is not UTF-8"},
        {"\xc3 <a@b>", "the address is not UTF-8"},
        {"a\xe2\x80\x8b@b", "the address holds an invisible or ambiguous character"},
        {"a@b\xe3\x80\x82org", "the address holds an invisible or ambiguous character"},
        {"a@b\xef\xbc\x9eorg", "the address holds an invisible or ambiguous character"},
        {"a\xc2\xa0z@b", "the address holds an invisible or ambiguous character"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_str_eq(parse(cases[i].text), cases[i].fault, "%s", cases[i].text);
}

Test(address, takes_a_name_apart_from_its_address_as_it_is)
{
    static const char *const names[] = {
        "Bob, Ann; <x@y> \"(c)\" \\", "=?UTF-8?Q?B?=", " a ", "", "Größe",
    };
    struct mail_fault why = {0};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        cr_assert(address_make(names[i], "a@b", MAIL_FAULT_DATA, &out, &why));
        cr_assert_str_eq(out.name, names[i]);
    }
    cr_assert(address_make(NULL, "a@b", MAIL_FAULT_DATA, &out, &why));
    cr_assert_str_eq(out.name, "");
    cr_assert(!address_make("a\nb", "a@b", MAIL_FAULT_DATA, &out, &why));
    cr_assert(why.kind == MAIL_FAULT_DATA);
    cr_assert_str_eq(why.text, "the name holds the control character U+000A");
    cr_assert(!address_make(filled('n', 256), "a@b", MAIL_FAULT_DATA, &out, &why));
    cr_assert(!address_make("n", "Bob <a@b>", MAIL_FAULT_DATA, &out, &why));
    cr_assert(!address_make("n", "<a@b>", MAIL_FAULT_DATA, &out, &why));
    cr_assert(!address_make("n", " a@b", MAIL_FAULT_DATA, &out, &why));
    cr_assert(!address_make("n", "a@b\r\nDATA", MAIL_FAULT_DATA, &out, &why));
    cr_assert(!address_make("n", "", MAIL_FAULT_DATA, &out, &why));
}

/* A recipient's address is private: it must not get into logs through a fault's text. */
Test(address, keeps_the_address_out_of_its_faults)
{
    cr_assert_null(strstr(parse("very.secret@exa mple.org"), "secret"));
    cr_assert_null(strstr(parse("very.secret"), "secret"));
    cr_assert_null(strstr(parse("\"very.secret"), "secret"));
}

Test(address, leaves_the_output_alone_on_a_fault)
{
    cr_assert_str_eq(parse("Bob <bob@x.org>"), "");
    cr_assert(parse("Ann <ann@>")[0]);
    cr_assert_str_eq(out.name, "Bob");
    cr_assert_str_eq(out.addr, "bob@x.org");
}
