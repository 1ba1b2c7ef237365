/* SPDX-License-Identifier: MIT */
/* template_node: what a parsed template is made of; for template.c and render.c only. */
#ifndef WORKER_HANDLERS_MAIL_TEMPLATE_NODE_H
#define WORKER_HANDLERS_MAIL_TEMPLATE_NODE_H

#include <stddef.h>

enum template_node_kind { NODE_TEXT, NODE_VALUE, NODE_RAW, NODE_SECTION, NODE_INVERTED };

struct template_node {
    enum template_node_kind kind;
    unsigned line;
    const char *text; /* the text, or the name; inside the template's source */
    size_t len;
    size_t end; /* sections: index of the node behind the last one inside */
};

struct template
{
    char *file;
    char *source;
    size_t source_len;
    struct template_node *nodes;
    size_t nodes_len;
};

#endif
