/* SPDX-License-Identifier: MIT */
/* address: see address.h. */
#include "worker/handlers/mail/address.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "worker/handlers/common/text.h"
#include "worker/handlers/common/utf8.h"

#define LABEL_MAX 63

/* What is being taken apart, and how to complain. */
struct reader {
    enum mail_fault_kind kind;
    struct mail_fault *why;
};

static bool refuse(const struct reader *r, const char *text)
{
    return mail_fault_set(r->why, r->kind, "%s", text);
}

static bool refuse_character(const struct reader *r, const char *what, char c)
{
    return c == ' ' ? mail_fault_set(r->why, r->kind, "%s holds a blank", what)
                    : mail_fault_set(r->why, r->kind, "%s holds %c", what, c);
}

/* ---- characters ---- */

static bool check_characters(const struct reader *r, const char *text, size_t len, const char *what)
{
    size_t size;
    uint32_t code;

    for (size_t i = 0; i < len; i += size) {
        size = utf8_next(text + i, len - i, &code);
        if (size == 0) {
            return mail_fault_set(r->why, r->kind, "%s is not UTF-8", what);
        }
        if (utf8_is_control(code)) {
            return mail_fault_set(r->why, r->kind, "%s holds the control character U+%04X", what,
                                  (unsigned)code);
        }
    }
    return true;
}

/* Blanks, invisible ones and forms that normalization would turn into ASCII: none of them belongs
   into an address. */
static bool is_odd(uint32_t code)
{
    return code == 0xA0 || code == 0xAD || code == 0x1680 || (code >= 0x2000 && code <= 0x200F) ||
           (code >= 0x2028 && code <= 0x202F) || (code >= 0x205F && code <= 0x206F) ||
           (code >= 0x3000 && code <= 0x3002) || (code >= 0xFE00 && code <= 0xFE0F) ||
           code == 0xFEFF || (code >= 0xFE50 && code <= 0xFE6F) ||
           (code >= 0xFF00 && code <= 0xFF65) || (code >= 0xFFF0 && code <= 0xFFFF) ||
           (code >= 0xE0000 && code <= 0x10FFFF);
}

static bool has_odd(const char *text, size_t len)
{
    size_t size;
    uint32_t code;

    for (size_t i = 0; i < len; i += size) {
        size = utf8_next(text + i, len - i, &code);
        if (is_odd(code)) {
            return true;
        }
    }
    return false;
}

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_beyond_ascii(char c)
{
    return ((unsigned char)c & 0x80u) != 0;
}

/* ---- the part before the @ ---- */

/* Quoted, a local part may hold nearly anything. What could end a command, an address or confuse
   the search for the @ is refused all the same. */
static bool check_quoted(const struct reader *r, const char *local, size_t len)
{
    if (len < 3 || local[len - 1] != '"') {
        return refuse(r, "the quoted part before the @ is empty or not closed");
    }
    for (size_t i = 1; i + 1 < len; i++) {
        if (strchr("\"\\<>@", local[i])) {
            return mail_fault_set(r->why, r->kind, "the quoted part before the @ holds %c",
                                  local[i]);
        }
    }
    return true;
}

static bool check_atoms(const struct reader *r, const char *local, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = local[i];

        if (c == '.' && (i == 0 || i + 1 == len || local[i - 1] == '.')) {
            return refuse(r,
                          "the part before the @ begins or ends with a dot, or has two together");
        }
        if (c != '.' && !is_alnum(c) && !is_beyond_ascii(c) && !strchr("!#$%&'*+-/=?^_`{|}~", c)) {
            return refuse_character(r, "the part before the @", c);
        }
    }
    return true;
}

static bool check_local(const struct reader *r, const char *local, size_t len)
{
    if (len == 0) {
        return refuse(r, "there is nothing before the @");
    }
    if (len > ADDRESS_LOCAL_MAX) {
        return mail_fault_set(r->why, r->kind, "more than %d bytes before the @",
                              ADDRESS_LOCAL_MAX);
    }
    return local[0] == '"' ? check_quoted(r, local, len) : check_atoms(r, local, len);
}

/* ---- the domain ---- */

/* [192.0.2.1] or [IPv6:2001:db8::1] */
static bool check_literal(const struct reader *r, const char *domain, size_t len)
{
    static const char prefix[] = "IPv6:";
    unsigned char bytes[16];
    char text[64];
    bool is_valid = len >= 2 && len < sizeof(text) && domain[len - 1] == ']';

    if (is_valid) {
        text_format(text, sizeof(text), "%.*s", (int)(len - 2), domain + 1);
        is_valid = strncasecmp(text, prefix, strlen(prefix)) == 0
                       ? inet_pton(AF_INET6, text + strlen(prefix), bytes) == 1
                       : inet_pton(AF_INET, text, bytes) == 1;
    }
    return is_valid || refuse(r, "the domain in brackets is not an IP address");
}

static bool check_label(const struct reader *r, const char *label, size_t len)
{
    size_t characters = 0;

    if (len == 0) {
        return refuse(r, "the domain begins or ends with a dot, or has two together");
    }
    for (size_t i = 0; i < len; i++) {
        if (!is_alnum(label[i]) && label[i] != '-' && !is_beyond_ascii(label[i])) {
            return refuse_character(r, "the domain", label[i]);
        }
        characters += ((unsigned char)label[i] & 0xC0u) != 0x80u;
    }
    if (characters > LABEL_MAX) {
        return mail_fault_set(r->why, r->kind, "a part of the domain is longer than %d characters",
                              LABEL_MAX);
    }
    return (label[0] != '-' && label[len - 1] != '-') ||
           refuse(r, "a part of the domain begins or ends with a hyphen");
}

static bool check_domain(const struct reader *r, const char *domain, size_t len)
{
    const char *end = domain + len;

    if (len == 0) {
        return refuse(r, "there is nothing after the @");
    }
    if (domain[0] == '[') {
        return check_literal(r, domain, len);
    }
    for (;;) {
        const char *dot = memchr(domain, '.', (size_t)(end - domain));

        if (!check_label(r, domain, (size_t)((dot ? dot : end) - domain))) {
            return false;
        }
        if (!dot) {
            return true;
        }
        domain = dot + 1;
    }
}

/* ---- the whole ---- */

/* The @ that ends the local part: the first one outside quotes. len: there is none. */
static size_t find_at(const char *addr, size_t len)
{
    bool is_quoted = false;

    for (size_t i = 0; i < len; i++) {
        if (addr[i] == '"') {
            is_quoted = !is_quoted;
        } else if (addr[i] == '@' && !is_quoted) {
            return i;
        }
    }
    return len;
}

/* Checks a bare address and puts it into out. */
static bool take_addr(const struct reader *r, const char *addr, size_t len, struct address *out)
{
    size_t at = find_at(addr, len);

    if (len == 0) {
        return refuse(r, "the address is empty");
    }
    if (len > ADDRESS_MAX) {
        return mail_fault_set(r->why, r->kind, "the address is longer than %d bytes", ADDRESS_MAX);
    }
    if (!check_characters(r, addr, len, "the address")) {
        return false;
    }
    if (at == len) {
        return refuse(r, "the address has no @");
    }
    if (has_odd(addr, len)) {
        return refuse(r, "the address holds an invisible or ambiguous character");
    }
    if (!check_local(r, addr, at) || !check_domain(r, addr + at + 1, len - at - 1)) {
        return false;
    }
    memcpy(out->addr, addr, len);
    out->addr[len] = '\0';
    out->domain_at = at + 1;
    out->utf8 = false;
    for (size_t i = 0; i < len; i++) {
        out->utf8 = out->utf8 || is_beyond_ascii(addr[i]);
    }
    return true;
}

static bool take_name(const struct reader *r, const char *name, size_t len, struct address *out)
{
    if (len > ADDRESS_NAME_MAX) {
        return mail_fault_set(r->why, r->kind, "the name is longer than %d bytes",
                              ADDRESS_NAME_MAX);
    }
    if (!check_characters(r, name, len, "the name")) {
        return false;
    }
    if (len > 0) {
        memcpy(out->name, name, len);
    }
    out->name[len] = '\0';
    return true;
}

/* "A \"quoted\" name": what is between the quotes, without the backslashes. */
static bool take_quoted_name(const struct reader *r, const char *text, size_t len,
                             struct address *out)
{
    char name[ADDRESS_NAME_MAX + 2];
    size_t count = 0;

    for (size_t i = 1; i + 1 < len && count < sizeof(name); i++) {
        if (text[i] == '"') {
            return refuse(r, "the quoted name goes on after its end");
        }
        if (text[i] == '\\') {
            i++;
        }
        if (i + 1 < len) {
            name[count++] = text[i];
        } else {
            return refuse(r, "the quoted name is not closed");
        }
    }
    if (len < 2 || text[len - 1] != '"') {
        return refuse(r, "the quoted name is not closed");
    }
    return take_name(r, name, count, out);
}

/* A name as an operator writes it before <addr>. */
static bool read_name(const struct reader *r, const char *text, size_t len, struct address *out)
{
    if (len > 0 && text[0] == '"') {
        return take_quoted_name(r, text, len, out);
    }
    for (size_t i = 0; i < len; i++) {
        if (strchr("()<>[]:;@\\,\"", text[i])) {
            return mail_fault_set(r->why, r->kind, "the name holds %c: put it into double quotes",
                                  text[i]);
        }
    }
    if (memmem(text, len, "=?", 2)) {
        return refuse(r, "the name is encoded already (=?…?=): write it as it is");
    }
    return take_name(r, text, len, out);
}

/* The < outside quotes; len: there is none. */
static size_t find_bracket(const char *text, size_t len)
{
    bool is_quoted = false;

    for (size_t i = 0; i < len; i++) {
        if (is_quoted && text[i] == '\\') {
            i++;
        } else if (text[i] == '"') {
            is_quoted = !is_quoted;
        } else if (text[i] == '<' && !is_quoted) {
            return i;
        }
    }
    return len;
}

bool address_parse(const char *text, size_t len, enum mail_fault_kind kind, struct address *out,
                   struct mail_fault *why)
{
    struct reader r = {.kind = kind, .why = why};
    struct address parsed = {.name = ""};
    size_t bracket;
    size_t name_len;

    if (!check_characters(&r, text, len, "the address")) {
        return false;
    }
    for (; len > 0 && text[0] == ' '; text++, len--) {
    }
    for (; len > 0 && text[len - 1] == ' '; len--) {
    }
    bracket = find_bracket(text, len);
    name_len = bracket == len ? 0 : bracket;
    for (; name_len > 0 && text[name_len - 1] == ' '; name_len--) {
    }
    if (!read_name(&r, text, name_len, &parsed)) {
        return false;
    }
    if (bracket < len) {
        if (text[len - 1] != '>') {
            return refuse(&r, "the address does not end with >");
        }
        text += bracket + 1;
        len -= bracket + 2;
    }
    if (!take_addr(&r, text, len, &parsed)) {
        return false;
    }
    *out = parsed;
    return true;
}

bool address_make(const char *name, const char *addr, enum mail_fault_kind kind,
                  struct address *out, struct mail_fault *why)
{
    struct reader r = {.kind = kind, .why = why};
    struct address made = {.name = ""};

    if (!take_name(&r, name ? name : "", name ? strlen(name) : 0, &made) ||
        !take_addr(&r, addr, strlen(addr), &made)) {
        return false;
    }
    *out = made;
    return true;
}
