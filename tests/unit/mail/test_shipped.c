/* SPDX-License-Identifier: MIT */
/* The templates that are shipped: complete in every language, and right with every set of data. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "mail_helpers.h"
#include "tests/support/support.h"
#include "worker/handlers/mail/template_set.h"

static const char *const languages[] = {"en", "de", "pl"};
static const char *const types[] = {"mail.reply", "mail.private_thread"};

static const struct mail_data full = {
    .forum_name = "Förum & Söhne",
    .forum_address = "https://forum.example/",
    .forum_host = "forum.example",
    .forum_footer = "Footer <i>&",
    .user_name = "Bob",
    .user_avatar = "https://forum.example/avatar/7/32/",
    .actor_name = "Ann",
    .thread_title = "Is 1 < 2 & \"why\"?",
    .thread_link = "https://forum.example/t/is/9/",
    .link = "https://forum.example/post/17/",
    .unsubscribe = "https://forum.example/notifications/disable-email/4/x/",
    .settings = "https://forum.example/options/notifications/",
};

static struct mail_parts render_shipped(const char *type, const char *language,
                                        const struct mail_data *data)
{
    struct template_set *set =
        template_set_new(NULL, source_path("worker/handlers/mail/templates"));
    struct mail_fault why = {0};
    struct mail_parts parts;

    cr_assert(template_set_render(set, type, language, data, &parts, &why), "%s", why.text);
    cr_assert_str_eq(parts.language, language);
    template_set_free(set);
    return parts;
}

static void check_has(const char *part, const char *text, bool is_there)
{
    cr_assert((strstr(part, text) != NULL) == is_there, "%s: %s", text, part);
}

Test(shipped, say_everything_in_every_language)
{
    for (size_t i = 0; i < 6; i++) {
        struct mail_parts parts = render_shipped(types[i / 3], languages[i % 3], &full);

        check_has(parts.subject, "Ann", true);
        check_has(parts.subject, "Is 1 < 2 & \"why\"?", true);
        check_has(parts.text, "Is 1 < 2 & \"why\"?", true);
        check_has(parts.text, full.link, true);
        check_has(parts.text, full.unsubscribe, true);
        check_has(parts.text, full.settings, true);
        check_has(parts.text, "Footer <i>&\n", true);
        check_has(parts.text, "&amp;", false);
        check_has(parts.html, "Is 1 &lt; 2 &amp; &quot;why&quot;?", true);
        check_has(parts.html, "href=\"https://forum.example/post/17/\"", true);
        check_has(parts.html, full.unsubscribe, true);
        check_has(parts.html, full.settings, true);
        check_has(parts.html, full.user_avatar, true);
        check_has(parts.html, "Förum &amp; Söhne", true);
        check_has(parts.html, "Footer &lt;i&gt;&amp;", true);
        check_has(parts.html, fmt("<html lang=\"%s\">", languages[i % 3]), true);
        check_has(parts.html, "{{", false);
        check_has(parts.text, "{{", false);
        mail_parts_done(&parts);
    }
}

Test(shipped, leave_out_what_is_not_there)
{
    struct mail_data bare = full;

    bare.forum_footer = bare.user_avatar = bare.unsubscribe = bare.settings = NULL;
    for (size_t i = 0; i < 6; i++) {
        struct mail_parts parts = render_shipped(types[i / 3], languages[i % 3], &bare);

        check_has(parts.html, "<img", false);
        check_has(parts.html, "href=\"\"", false);
        check_has(parts.html, "<br>", false);
        check_has(parts.text, "disable-email", false);
        check_has(parts.text, ":\n\n", false);
        check_has(parts.text, "\n\n\n", false);
        mail_parts_done(&parts);
    }
}

/* As many opening as closing tags of each kind that has both: a table left open breaks Outlook. */
static void check_balance(const char *html, const char *name)
{
    const char *opening = fmt("<%s", name);
    const char *closing = fmt("</%s>", name);
    int balance = 0;

    for (const char *c = html; (c = strstr(c, opening)) != NULL; c++)
        balance += c[strlen(opening)] == '>' || c[strlen(opening)] == ' ';
    for (const char *c = html; (c = strstr(c, closing)) != NULL; c++)
        balance--;
    cr_assert(balance == 0, "<%s>: %d", name, balance);
}

Test(shipped, are_whole_html)
{
    static const char *const names[] = {"html", "head", "body",  "table", "tr",  "td",
                                        "a",    "div",  "style", "title", "meta"};

    for (size_t i = 0; i < 6; i++) {
        struct mail_parts parts = render_shipped(types[i / 3], languages[i % 3], &full);

        for (size_t k = 0; k < 10; k++)
            check_balance(parts.html, names[k]);
        check_has(parts.html, "max-width:600px", true);
        check_has(parts.html, "<!--[if mso]><table role=\"presentation\" width=\"600\"", true);
        check_has(parts.html, "prefers-color-scheme: dark", true);
        check_has(parts.html, "<meta name=\"color-scheme\" content=\"light dark\">", true);
        check_has(parts.html, "http://", false);
        check_has(parts.html, "<script", false);
        mail_parts_done(&parts);
    }
}

Test(shipped, become_mails_that_others_can_read)
{
    char *messages[6];
    char *texts[6];
    json_t *mails;

    for (size_t i = 0; i < 6; i++) {
        struct mail_parts parts = render_shipped(types[i / 3], languages[i % 3], &full);
        struct address from, to;
        struct message m = plain_message(&from, &to);

        m.subject = parts.subject;
        m.text = parts.text;
        m.html = parts.html;
        messages[i] = build(&m);
        texts[i] = parts.subject;
        parts.subject = NULL;
        mail_parts_done(&parts);
    }
    mails = decode((const char *const *)messages, 6);
    for (size_t i = 0; i < 6; i++) {
        const json_t *mail = json_array_get(mails, i);

        cr_assert_str_eq(
            json_string_value(json_object_get(json_object_get(mail, "headers"), "Subject")),
            texts[i]);
        cr_assert(json_array_size(json_object_get(mail, "defects")) == 0);
        cr_assert(json_integer_value(json_object_get(mail, "longest_line")) <= 78);
        free(messages[i]);
        free(texts[i]);
    }
    json_decref(mails);
}

Test(shipped, names_are_all_explained_to_operators)
{
    char *document = read_file(source_path("docs/forum.md"));

    cr_assert_not_null(document);
#define EXPLAINED(field, name, meaning)                                                            \
    check_has(document, "| `{{" name "}}` | " meaning " |", true);
    MAIL_DATA_FIELDS(EXPLAINED)
    for (const char *const *name = mail_data_names(); *name; name++)
        check_has(document, fmt("| `{{%s}}` | ", *name), true);
    free(document);
}
