/* SPDX-License-Identifier: MIT */
/* mail_helpers: what the tests of the mails' text share. */
#ifndef TESTS_UNIT_MAIL_HELPERS_H
#define TESTS_UNIT_MAIL_HELPERS_H

#include <jansson.h>
#include <stdbool.h>

#include "worker/handlers/mail/message.h"
#include "worker/handlers/mail/template.h"

/* Parses JSON written with ' for ". Caller: json_decref(). */
json_t *json_of(const char *text);

/* Parses and renders; the fault's text when it fails. Caller frees with free(). */
char *render(const char *source, const char *data, enum template_escape escape);

/* The text of the fault of parsing source as file "t" with these names; "" when there is none. A
   ring of buffers, as fmt(). */
const char *parse_fault(const char *source, size_t len, const char *const *names);

/* A message with harmless parts, for a test to change. from and to are filled. */
struct message plain_message(struct address *from, struct address *to);

/* Builds; fails the test when that fails. Caller frees with free(). */
char *build(const struct message *m);

/* What decode.py says about each of these messages: an array. Caller: json_decref(). */
json_t *decode(const char *const *messages, size_t n);

#endif
