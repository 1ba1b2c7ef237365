/* SPDX-License-Identifier: MIT */
/*
 * template: the parser. See template.h; render.c does the rendering.
 *
 * The source is copied with its line ends made LF. Nodes point into the copy; a section knows the
 * node behind its end, so that nodes stay one array.
 */
#include "worker/handlers/mail/template.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "worker/handlers/common/text.h"
#include "worker/handlers/common/utf8.h"
#include "worker/handlers/mail/template_node.h"

#define ALLOWED "{{x}}, {{{x}}}, {{&x}}, {{#x}}, {{^x}}, {{/x}} and {{! comments }}"

/* A section that is open while parsing. */
struct open {
    size_t node;
    unsigned line;
    char path[TEMPLATE_NAME_MAX * 2 + 2]; /* its name, resolved; "" when it is "." */
};

struct tag {
    char sigil;        /* one of "#^/!&{", 0 for a plain name */
    char *name;        /* not yet ended by a NUL; for a comment unused */
    size_t name_len;   /* bytes */
    size_t start, end; /* the whole tag in the source */
    unsigned line;
};

struct parser {
    struct template *t;
    const char *const *names;
    struct mail_fault *why;
    size_t at;
    unsigned line;
    size_t nodes_size;
    struct open open[TEMPLATE_DEPTH_MAX];
    size_t depth;
};

static bool refuse(const struct parser *p, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool refuse(const struct parser *p, unsigned line, const char *format, ...)
{
    char text[sizeof(p->why->text)];
    va_list args;

    va_start(args, format);
    text_format_list(text, sizeof(text), format, args);
    va_end(args);
    return mail_fault_set(p->why, MAIL_FAULT_TEMPLATE, "%s:%u: %s", p->t->file, line, text);
}

static bool refuse_memory(struct mail_fault *why)
{
    return mail_fault_set(why, MAIL_FAULT_SYSTEM, "no memory for a template");
}

/* ---- source ---- */

/* Copies the source: no BOM, LF ends lines. Refuses what cannot stand in a mail. */
static bool copy_source(struct parser *p, const char *source, size_t len)
{
    size_t from = len >= 3 && memcmp(source, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    unsigned line = 1;
    size_t size;
    uint32_t code;

    p->t->source = malloc(len + 1);
    if (!p->t->source) {
        return refuse_memory(p->why);
    }
    for (; from < len; from += size) {
        size = utf8_next(source + from, len - from, &code);
        if (size == 0) {
            return refuse(p, line, "byte 0x%02x is not UTF-8", (unsigned char)source[from]);
        }
        if (code == '\r' && from + 1 < len && source[from + 1] == '\n') {
            continue;
        }
        if (utf8_is_control(code) && code != '\n' && code != '\t') {
            return refuse(p, line, "control character U+%04X", (unsigned)code);
        }
        line += code == '\n';
        memcpy(p->t->source + p->t->source_len, source + from, size);
        p->t->source_len += size;
    }
    p->t->source[p->t->source_len] = '\0';
    return true;
}

/* ---- names ---- */

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

static bool check_name(const struct parser *p, const struct tag *tag)
{
    bool is_valid = tag->name_len > 0 && tag->name[tag->name_len - 1] != '.';

    if (tag->name_len == 0) {
        return refuse(p, tag->line, "a tag without a name");
    }
    if (tag->name_len > TEMPLATE_NAME_MAX) {
        return refuse(p, tag->line, "a name longer than %d bytes", TEMPLATE_NAME_MAX);
    }
    for (size_t i = 0; is_valid && i < tag->name_len; i++) {
        char c = tag->name[i];

        is_valid = is_name_char(c) || (c == '.' && i > 0 && tag->name[i - 1] != '.');
    }
    if (!is_valid && !(tag->name_len == 1 && tag->name[0] == '.')) {
        return refuse(p, tag->line,
                      "\"%.*s\" is not a name (letters, digits, _ and -, parts joined by dots)",
                      (int)tag->name_len, tag->name);
    }
    return true;
}

/* Whether path is one of the names, or for a section the beginning of one. */
static bool is_known(const char *const *names, const char *path, bool is_section)
{
    size_t len = strlen(path);

    for (; *names; names++) {
        if (strncmp(*names, path, len) == 0 &&
            ((*names)[len] == '\0' || (is_section && (*names)[len] == '.'))) {
            return true;
        }
    }
    return false;
}

static bool refuse_name(const struct parser *p, const struct tag *tag)
{
    char list[400] = "";

    for (const char *const *name = p->names; *name; name++) {
        size_t len = strlen(list);

        text_format(list + len, sizeof(list) - len, "%s%s", len > 0 ? ", " : "", *name);
    }
    return refuse(p, tag->line, "no value is called \"%.*s\"; there are %s", (int)tag->name_len,
                  tag->name, list);
}

/* Looks the name up as rendering will, from the innermost section outwards. The name found goes
   into path (at least as large as that of struct open). */
static bool resolve_name(const struct parser *p, const struct tag *tag, char *path, size_t size)
{
    bool is_section = tag->sigil == '#' || tag->sigil == '^';
    bool is_dot = tag->name[0] == '.';

    path[0] = '\0';
    if (!p->names) {
        return true;
    }
    if (is_dot) {
        text_format(path, size, "%s", p->depth > 0 ? p->open[p->depth - 1].path : "");
        return is_known(p->names, path, is_section) || refuse_name(p, tag);
    }
    for (size_t i = p->depth; i > 0; i--) {
        const char *outer = p->open[i - 1].path;

        text_format(path, size, "%s%s%.*s", outer, outer[0] ? "." : "", (int)tag->name_len,
                    tag->name);
        if (is_known(p->names, path, is_section)) {
            return true;
        }
    }
    text_format(path, size, "%.*s", (int)tag->name_len, tag->name);
    return is_known(p->names, path, is_section) || refuse_name(p, tag);
}

/* ---- nodes ---- */

static bool add_node(struct parser *p, struct template_node node)
{
    struct template *t = p->t;

    if (t->nodes_len == p->nodes_size) {
        size_t size = p->nodes_size > 0 ? p->nodes_size * 2 : 32;
        struct template_node *nodes = realloc(t->nodes, size * sizeof(*nodes));

        if (!nodes) {
            return refuse_memory(p->why);
        }
        t->nodes = nodes;
        p->nodes_size = size;
    }
    t->nodes[t->nodes_len++] = node;
    return true;
}

static bool add_text(struct parser *p, size_t from, size_t to)
{
    struct template_node node = {
        .kind = NODE_TEXT, .line = p->line, .text = p->t->source + from, .len = to - from};

    return from == to || add_node(p, node);
}

/* ---- tags ---- */

/* The first place at or after from where c stands count times; NULL: nowhere. */
static char *find_braces(const struct parser *p, size_t from, char c, size_t count)
{
    char *end = p->t->source + p->t->source_len;
    char *at = p->t->source + from;

    while ((at = memchr(at, c, (size_t)(end - at))) != NULL) {
        /* The NUL behind the source ends a run as well. */
        if (strspn(at, c == '{' ? "{" : "}") >= count) {
            return at;
        }
        at++;
    }
    return NULL;
}

/* Reads the tag at p->at, which is at "{{". */
static bool read_tag(struct parser *p, struct tag *tag)
{
    char *start = p->t->source + p->at;
    char *name = start + 2;
    char *end;

    *tag = (struct tag){.start = p->at, .line = p->line};
    if (*name && strchr("#^/!&{", *name)) {
        tag->sigil = *name++;
    } else if (*name && strchr(">=$<", *name)) {
        return refuse(p, p->line, "{{%c is not supported; allowed are " ALLOWED, *name);
    }
    end = find_braces(p, (size_t)(name - p->t->source), '}', tag->sigil == '{' ? 3 : 2);
    if (!end || (tag->sigil != '!' && memchr(name, '\n', (size_t)(end - name)))) {
        return refuse(p, p->line, "a tag is not closed: %s is missing%s",
                      tag->sigil == '{' ? "}}}" : "}}", tag->sigil == '!' ? "" : " on its line");
    }
    tag->end = (size_t)(end - p->t->source) + (tag->sigil == '{' ? 3 : 2);
    for (; name < end && (*name == ' ' || *name == '\t'); name++) {
    }
    for (; end > name && (end[-1] == ' ' || end[-1] == '\t'); end--) {
    }
    tag->name = name;
    tag->name_len = (size_t)(end - name);
    return tag->sigil == '!' || check_name(p, tag);
}

/* Whether nothing but blanks stands beside the tag on its lines: then they go with it. Narrows and
   widens the range that the tag takes away. */
static void take_whole_line(const struct parser *p, const struct tag *tag, size_t *from, size_t *to)
{
    const char *source = p->t->source;
    size_t start = tag->start;
    size_t end = tag->end;

    for (; start > 0 && (source[start - 1] == ' ' || source[start - 1] == '\t'); start--) {
    }
    for (; source[end] == ' ' || source[end] == '\t'; end++) {
    }
    if ((start == 0 || source[start - 1] == '\n') &&
        (end == p->t->source_len || source[end] == '\n')) {
        *from = start;
        *to = end + (end < p->t->source_len);
    }
}

static bool open_section(struct parser *p, const struct tag *tag)
{
    struct open *open = &p->open[p->depth];
    struct template_node node = {
        .kind = tag->sigil == '#' ? NODE_SECTION : NODE_INVERTED,
        .line = tag->line,
        .text = tag->name,
        .len = tag->name_len,
    };

    if (p->depth == TEMPLATE_DEPTH_MAX) {
        return refuse(p, tag->line, "more than %d sections inside each other", TEMPLATE_DEPTH_MAX);
    }
    if (!resolve_name(p, tag, open->path, sizeof(open->path)) || !add_node(p, node)) {
        return false;
    }
    open->node = p->t->nodes_len - 1;
    open->line = tag->line;
    p->depth++;
    return true;
}

static bool close_section(struct parser *p, const struct tag *tag)
{
    const struct template_node *node;

    if (p->depth == 0) {
        return refuse(p, tag->line, "{{/%.*s}} closes a section that was not opened",
                      (int)tag->name_len, tag->name);
    }
    node = &p->t->nodes[p->open[p->depth - 1].node];
    if (node->len != tag->name_len || memcmp(node->text, tag->name, node->len) != 0) {
        return refuse(p, tag->line, "{{/%.*s}} where {{/%.*s}} is due, opened in line %u",
                      (int)tag->name_len, tag->name, (int)node->len, node->text, node->line);
    }
    p->t->nodes[p->open[--p->depth].node].end = p->t->nodes_len;
    return true;
}

static bool add_value(struct parser *p, const struct tag *tag)
{
    char path[sizeof(p->open[0].path)];
    struct template_node node = {
        .kind = tag->sigil ? NODE_RAW : NODE_VALUE,
        .line = tag->line,
        .text = tag->name,
        .len = tag->name_len,
    };

    return resolve_name(p, tag, path, sizeof(path)) && add_node(p, node);
}

static bool add_tag(struct parser *p, const struct tag *tag)
{
    switch (tag->sigil) {
    case '!':
        return true;
    case '#':
    case '^':
        return open_section(p, tag);
    case '/':
        return close_section(p, tag);
    default:
        return add_value(p, tag);
    }
}

/* ---- the whole ---- */

static unsigned count_lines(const char *text, size_t len)
{
    unsigned lines = 0;

    for (size_t i = 0; i < len; i++) {
        lines += text[i] == '\n';
    }
    return lines;
}

static bool parse(struct parser *p)
{
    const char *source = p->t->source;

    while (p->at < p->t->source_len) {
        const char *found = find_braces(p, p->at, '{', 2);
        size_t text = p->at;
        size_t from = found ? (size_t)(found - source) : p->t->source_len;
        size_t to;
        struct tag tag;

        p->line += count_lines(source + p->at, from - p->at);
        if (!found) {
            return add_text(p, text, from);
        }
        p->at = from;
        if (!read_tag(p, &tag)) {
            return false;
        }
        to = tag.end;
        if (tag.sigil && strchr("#^/!", tag.sigil)) {
            take_whole_line(p, &tag, &from, &to);
        }
        if (!add_text(p, text, from) || !add_tag(p, &tag)) {
            return false;
        }
        p->line += count_lines(source + tag.start, to - tag.start);
        p->at = to;
    }
    return true;
}

static bool parse_all(struct parser *p, const char *source, size_t len)
{
    const struct open *open;

    if (len > TEMPLATE_SOURCE_MAX) {
        return mail_fault_set(p->why, MAIL_FAULT_TEMPLATE, "%s: longer than %u bytes", p->t->file,
                              TEMPLATE_SOURCE_MAX);
    }
    if (!copy_source(p, source, len) || !parse(p)) {
        return false;
    }
    if (p->depth > 0) {
        open = &p->open[p->depth - 1];
        return refuse(p, open->line, "{{/%.*s}} is missing", (int)p->t->nodes[open->node].len,
                      p->t->nodes[open->node].text);
    }
    return true;
}

bool template_parse(const char *file, const char *source, size_t len, const char *const *names,
                    struct template **out, struct mail_fault *why)
{
    struct parser p = {.names = names, .why = why, .line = 1};
    bool is_parsed;

    p.t = calloc(1, sizeof(*p.t));
    if (!p.t) {
        return refuse_memory(why);
    }
    p.t->file = strdup(file);
    is_parsed = p.t->file ? parse_all(&p, source, len) : refuse_memory(why);
    if (is_parsed) {
        *out = p.t;
    } else {
        template_free(p.t);
    }
    return is_parsed;
}

void template_free(struct template *t)
{
    if (t) {
        free(t->file);
        free(t->source);
        free(t->nodes);
        free(t);
    }
}
