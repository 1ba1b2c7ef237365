/* SPDX-License-Identifier: MIT */
/* render: puts values into a parsed template. See template.h. */
#include <stdint.h>
#include <string.h>

#include "worker/handlers/common/text.h"
#include "worker/handlers/mail/template.h"
#include "worker/handlers/mail/template_node.h"

struct rendering {
    const struct template *t;
    enum template_escape escape;
    struct bytes *out;
    struct mail_fault *why;
    unsigned steps;
    json_t *stack[TEMPLATE_DEPTH_MAX + 1]; /* what names are looked for in; the last one first */
    size_t depth;
};

/* ---- values ---- */

static json_t *get(const json_t *object, const char *name, size_t len)
{
    char key[TEMPLATE_NAME_MAX + 1];

    memcpy(key, name, len);
    key[len] = '\0';
    return json_object_get(object, key);
}

static size_t part_len(const char *name, const char *end)
{
    const char *dot = memchr(name, '.', (size_t)(end - name));

    return (size_t)((dot ? dot : end) - name);
}

/* The value of a node's name; NULL when there is none. The first part of the name decides in which
   section the others are looked for. */
static json_t *find(const struct rendering *r, const struct template_node *node)
{
    const char *name = node->text;
    const char *end = name + node->len;
    size_t len = part_len(name, end);
    json_t *value = NULL;

    if (*name == '.') {
        return r->stack[r->depth - 1];
    }
    for (size_t i = r->depth; !value && i > 0; i--) {
        value = get(r->stack[i - 1], name, len);
    }
    while (value && name + len < end) {
        name += len + 1;
        len = part_len(name, end);
        value = get(value, name, len);
    }
    return value;
}

static bool is_absent(const json_t *value)
{
    return !value || json_is_false(value) || json_is_null(value) ||
           (json_is_array(value) && json_array_size(value) == 0) ||
           (json_is_string(value) && json_string_length(value) == 0);
}

/* ---- output ---- */

static void add_html(struct bytes *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        switch (text[i]) {
        case '&':
            bytes_add_text(out, "&amp;");
            break;
        case '<':
            bytes_add_text(out, "&lt;");
            break;
        case '>':
            bytes_add_text(out, "&gt;");
            break;
        case '"':
            bytes_add_text(out, "&quot;");
            break;
        case '\'':
            bytes_add_text(out, "&#39;");
            break;
        default:
            bytes_add_char(out, text[i]);
        }
    }
}

static bool refuse(struct rendering *r, const struct template_node *node, const char *what)
{
    return mail_fault_set(r->why, MAIL_FAULT_TEMPLATE, "%s:%u: %.*s %s", r->t->file, node->line,
                          (int)node->len, node->text, what);
}

static bool add_value(struct rendering *r, const struct template_node *node)
{
    const json_t *value = find(r, node);
    char number[64] = "";

    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_STRING:
        if (r->escape == TEMPLATE_HTML && node->kind != NODE_RAW) {
            add_html(r->out, json_string_value(value), json_string_length(value));
        } else {
            bytes_add(r->out, json_string_value(value), json_string_length(value));
        }
        return true;
    case JSON_INTEGER:
        text_format(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        text_format(number, sizeof(number), "%.15g", json_real_value(value));
        break;
    case JSON_TRUE:
        bytes_add_text(r->out, "true");
        break;
    case JSON_FALSE:
        bytes_add_text(r->out, "false");
        break;
    case JSON_NULL:
        break;
    default:
        return refuse(r, node, "is a list or an object, which only a section can show");
    }
    bytes_add_text(r->out, number);
    return true;
}

/* ---- sections ---- */

static bool render_nodes(struct rendering *r, size_t from, size_t to);

static bool render_inside(struct rendering *r, size_t at, json_t *value)
{
    bool is_rendered;

    r->stack[r->depth++] = value;
    is_rendered = render_nodes(r, at + 1, r->t->nodes[at].end);
    r->depth--;
    return is_rendered;
}

static bool render_section(struct rendering *r, size_t at)
{
    const struct template_node *node = &r->t->nodes[at];
    json_t *value = find(r, node);
    size_t count = json_array_size(value);

    if (node->kind == NODE_INVERTED) {
        return !is_absent(value) || render_inside(r, at, r->stack[r->depth - 1]);
    }
    if (is_absent(value)) {
        return true;
    }
    if (!json_is_array(value)) {
        return render_inside(r, at, value);
    }
    for (size_t i = 0; i < count; i++) {
        if (!render_inside(r, at, json_array_get(value, i))) {
            return false;
        }
    }
    return true;
}

static bool render_node(struct rendering *r, size_t at)
{
    const struct template_node *node = &r->t->nodes[at];

    switch (node->kind) {
    case NODE_TEXT:
        bytes_add(r->out, node->text, node->len);
        return true;
    case NODE_SECTION:
    case NODE_INVERTED:
        return render_section(r, at);
    default:
        return add_value(r, node);
    }
}

/* Every visit counts: lists inside lists, even of empty sections, could be walked for hours. */
static bool may_go_on(struct rendering *r)
{
    if (r->out->state == BYTES_NO_MEMORY) {
        return mail_fault_set(r->why, MAIL_FAULT_SYSTEM, "no memory to render a template");
    }
    if (r->out->state == BYTES_FULL) {
        return mail_fault_set(r->why, MAIL_FAULT_TEMPLATE, "%s: renders to more than %zu bytes",
                              r->t->file, r->out->max);
    }
    if (++r->steps > TEMPLATE_STEPS_MAX) {
        return mail_fault_set(r->why, MAIL_FAULT_TEMPLATE, "%s: more than %d steps to render",
                              r->t->file, TEMPLATE_STEPS_MAX);
    }
    return true;
}

static bool render_nodes(struct rendering *r, size_t from, size_t to)
{
    for (size_t at = from; at < to;) {
        const struct template_node *node = &r->t->nodes[at];

        if (!may_go_on(r) || !render_node(r, at)) {
            return false;
        }
        at = node->kind == NODE_SECTION || node->kind == NODE_INVERTED ? node->end : at + 1;
    }
    return may_go_on(r);
}

bool template_render(const struct template *t, json_t *data, enum template_escape escape,
                     struct bytes *out, struct mail_fault *why)
{
    struct rendering r = {
        .t = t, .escape = escape, .out = out, .why = why, .stack = {data}, .depth = 1};

    return render_nodes(&r, 0, t->nodes_len);
}
