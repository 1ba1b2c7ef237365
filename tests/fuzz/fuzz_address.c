/* SPDX-License-Identifier: MIT */
/*
 * fuzz_address: any bytes as an address. What passes can stand in RCPT TO:<…> and in a header, is
 * an address again when it is parsed again, and keeps its name; what does not says why in one line.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "worker/handlers/mail/address.h"
#include "worker/handlers/mail/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_fault(const struct mail_fault *why)
{
    ASSERT(why->kind == MAIL_FAULT_DATA && why->text[0] != '\0');
    ASSERT(header_is_clean(why->text));
}

static void check_harmless(const struct address *a)
{
    bool is_quoted = false;
    bool is_ascii = true;
    int ats = 0;

    ASSERT(header_is_clean(a->addr) && header_is_clean(a->name));
    ASSERT(strlen(a->addr) <= ADDRESS_MAX && strlen(a->name) <= ADDRESS_NAME_MAX);
    ASSERT(a->domain_at >= 2 && a->domain_at <= ADDRESS_LOCAL_MAX + 1);
    ASSERT(a->addr[a->domain_at - 1] == '@' && a->addr[a->domain_at] != '\0');
    for (const char *c = a->addr; *c; c++) {
        ASSERT(!strchr("<>\\", *c));
        ASSERT(is_quoted || !strchr(" ,;()", *c));
        ASSERT(strchr(a->addr + a->domain_at, '"') == NULL);
        is_quoted ^= *c == '"';
        is_ascii = is_ascii && (unsigned char)*c < 0x80;
        ats += *c == '@';
    }
    ASSERT(ats == 1 && !is_quoted && a->utf8 == !is_ascii);
}

static void check_same(const struct address *a, const struct address *b)
{
    ASSERT(strcmp(a->addr, b->addr) == 0 && strcmp(a->name, b->name) == 0);
    ASSERT(a->domain_at == b->domain_at && a->utf8 == b->utf8);
}

/* "name" <addr>, the name quoted. */
static void check_again(const struct address *a)
{
    char text[2 * ADDRESS_NAME_MAX + ADDRESS_MAX + 8];
    struct mail_fault why = {0};
    struct address again;
    size_t len = 0;

    text[len++] = '"';
    for (const char *c = a->name; *c; c++) {
        if (*c == '"' || *c == '\\')
            text[len++] = '\\';
        text[len++] = *c;
    }
    memcpy(text + len, "\" <", 3);
    len += 3;
    memcpy(text + len, a->addr, strlen(a->addr));
    len += strlen(a->addr);
    text[len++] = '>';
    ASSERT(address_parse(text, len, MAIL_FAULT_DATA, &again, &why));
    check_same(a, &again);
    ASSERT(address_make(a->name, a->addr, MAIL_FAULT_DATA, &again, &why));
    check_same(a, &again);
}

static void check_header(const struct address *a)
{
    struct mail_fault why = {0};
    struct bytes out;

    bytes_init(&out, 4096);
    ASSERT(header_address(&out, "To", a, &why) && out.state == BYTES_OK);
    ASSERT(strstr(out.data, a->addr) != NULL);
    for (const char *line = out.data; *line;) {
        size_t len = strcspn(line, "\r\n");

        ASSERT(len <= HEADER_HARD_MAX && line[len] == '\r' && line[len + 1] == '\n');
        ASSERT(line == out.data || *line == ' ');
        line += len + 2;
    }
    bytes_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = size > 0 ? (const char *)data : "";
    struct mail_fault why = {0};
    struct address a;
    char *copy = strndup(text, size);

    if (copy == NULL)
        abort();
    if (address_parse(text, size, MAIL_FAULT_DATA, &a, &why)) {
        check_harmless(&a);
        check_again(&a);
        check_header(&a);
    } else {
        check_fault(&why);
    }
    if (address_make(copy, copy, MAIL_FAULT_DATA, &a, &why)) {
        check_harmless(&a);
        check_again(&a);
    } else {
        check_fault(&why);
    }
    /* As names of users come: anything, cleaned. */
    header_clean(copy);
    ASSERT(header_is_clean(copy) && strlen(copy) <= size);
    if (address_make(copy, "a@b", MAIL_FAULT_DATA, &a, &why))
        check_header(&a);
    else
        ASSERT(strlen(copy) > ADDRESS_NAME_MAX);
    free(copy);
    return 0;
}
