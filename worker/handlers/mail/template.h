/* SPDX-License-Identifier: MIT */
/*
 * template: a subset of Mustache on jansson values.
 *
 *   {{name}}            the value; HTML-escaped when rendered for HTML, as it is otherwise
 *   {{{name}}} {{&name}} the value as it is
 *   {{#name}}…{{/name}} a section: once per element of a list, once inside an object, once for any
 *                       other value that is there; not at all for false, null, "", an empty list
 *                       or a name that is not there
 *   {{^name}}…{{/name}} the reverse
 *   {{! … }}            a comment
 *   a.b.c               dotted names; {{.}} is the current element of a list
 *
 * Names are looked for in the innermost section first, then outwards. A section's or comment's tag
 * alone on its line takes the whole line away. Partials {{>…}}, other delimiters {{=…}}, blocks
 * {{$…}} {{<…}} and lambdas are refused. "" counts as absent, as nearly every user of Mustache
 * expects of an optional text.
 *
 * Parsed once, rendered as often as wanted; nothing in a template changes while it is rendered. No
 * I/O. One thread at a time.
 */
#ifndef WORKER_HANDLERS_MAIL_TEMPLATE_H
#define WORKER_HANDLERS_MAIL_TEMPLATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "worker/handlers/mail/bytes.h"
#include "worker/handlers/mail/fault.h"

#define TEMPLATE_DEPTH_MAX 16 /* sections inside sections */
#define TEMPLATE_SOURCE_MAX (256u * 1024)
#define TEMPLATE_NAME_MAX 64 /* bytes of a name with its dots */
#define TEMPLATE_STEPS_MAX                                                                         \
    200000 /* nodes visited in one rendering: lists inside lists multiply                          \
            */

struct template;

enum template_escape { TEMPLATE_PLAIN, TEMPLATE_HTML };

/*
 * Parses len bytes. file is used in messages only ("file:line: …"), copied. names, ended by NULL:
 * the dotted names that a template may use, borrowed for the call; any other is refused with the
 * list of them; NULL: all names. A fault is MAIL_FAULT_TEMPLATE or MAIL_FAULT_SYSTEM. Caller frees
 * *out with template_free().
 */
bool template_parse(const char *file, const char *source, size_t len, const char *const *names,
                    struct template **out, struct mail_fault *why);
/* NULL is fine. */
void template_free(struct template *t);

/*
 * Adds the rendered text to out, whose ceiling limits it. Strings are written as they are, numbers
 * and booleans as JSON writes them, null and missing as nothing; a list or an object is a fault.
 */
bool template_render(const struct template *t, json_t *data, enum template_escape escape,
                     struct bytes *out, struct mail_fault *why);

#endif
