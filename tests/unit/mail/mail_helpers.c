/* SPDX-License-Identifier: MIT */
/* mail_helpers: see mail_helpers.h. */
#include "mail_helpers.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"

json_t *json_of(const char *text)
{
    char *copy = strdup(text);
    json_error_t error;
    json_t *json;

    for (char *c = copy; *c; c++) {
        if (*c == '\'')
            *c = '"';
    }
    json = json_loads(copy, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    cr_assert_not_null(json, "%s: %s", text, error.text);
    free(copy);
    return json;
}

char *render(const char *source, const char *data, enum template_escape escape)
{
    struct mail_fault why = {0};
    struct template *t = NULL;
    json_t *json = json_of(data);
    struct bytes out;
    char *text;

    bytes_init(&out, 65536);
    if (template_parse("t", source, strlen(source), NULL, &t, &why) &&
        template_render(t, json, escape, &out, &why))
        text = bytes_take(&out);
    else
        text = strdup(why.text);
    bytes_done(&out);
    template_free(t);
    json_decref(json);
    return text;
}

const char *parse_fault(const char *source, size_t len, const char *const *names)
{
    struct mail_fault why = {0};
    struct template *t = NULL;
    char *exact = malloc(len > 0 ? len : 1); /* a read past its end is seen */
    bool is_parsed;

    memcpy(exact, source, len);
    is_parsed = template_parse("t", exact, len, names, &t, &why);
    free(exact);
    template_free(t);
    cr_assert(is_parsed ? why.kind == MAIL_FAULT_NONE : why.kind == MAIL_FAULT_TEMPLATE);
    return fmt("%s", why.text);
}

struct message plain_message(struct address *from, struct address *to)
{
    struct mail_fault why;

    cr_assert(address_make("The Forum", "forum@forum.example", MAIL_FAULT_SETTING, from, &why));
    cr_assert(address_make(NULL, "bob@mail.example", MAIL_FAULT_DATA, to, &why));
    return (struct message){
        .from = from,
        .to = to,
        .subject = "A reply",
        .text = "Hello\n",
        .html = "<p>Hello</p>\n",
        .message_id = "reply.17.4@forum.example",
        .date_ms = INT64_C(1795421640000),
    };
}

char *build(const struct message *m)
{
    struct mail_fault why = {0};
    struct bytes out;

    bytes_init(&out, MESSAGE_MAX);
    cr_assert(message_build(m, &out, &why), "%s", why.text);
    cr_assert(out.len == strlen(out.data));
    return bytes_take(&out);
}

json_t *decode(const char *const *messages, size_t n)
{
    const char *argv[] = {"python3", source_path("tests/unit/mail/decode.py"), NULL};
    json_t *list = json_array();
    char *input;
    char *output = NULL;
    json_t *decoded;
    int status;

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_string(messages[i]));
    input = json_dumps(list, 0);
    status = run_command(&output, input, argv);
    cr_assert(status == 0, "python3 decode.py: %d\n%s", status, output);
    decoded = json_loads(output, 0, NULL);
    cr_assert(json_array_size(decoded) == n, "%s", output);
    free(output);
    free(input);
    json_decref(list);
    return decoded;
}
