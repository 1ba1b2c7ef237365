/* SPDX-License-Identifier: MIT */
/* compose: see compose.h. */
#include "worker/handlers/mail/compose.h"

#include <string.h>
#include <strings.h>

#include "worker/handlers/common/text.h"
#include "worker/handlers/mail/mail_data.h"
#include "worker/handlers/mail/message.h"

#define BASE_MAX 512 /* of the forum's address */
#define LINK_MAX 1024
#define HOST_MAX 255

struct links {
    char base[BASE_MAX + 2]; /* ends in / */
    char host[HOST_MAX + 1];
    char avatar[LINK_MAX];
    char thread[LINK_MAX];
    char post[LINK_MAX];
    char unsubscribe[LINK_MAX]; /* "": none */
    char settings[LINK_MAX];
};

/* ---- identity ---- */

static void make_id(char out[HEADER_ID_MAX + 1], const char *domain, const char *what,
                    const char *first, const char *second)
{
    text_format(out, HEADER_ID_MAX + 1, "%s.%s%s%s@%s", what, first ? first : "0",
                second ? "." : "", second ? second : "", domain);
}

/* The sender's domain, unless it is one that no id may hold. */
static const char *id_domain(const struct compose *c)
{
    const struct address *from = &c->options->from;
    const char *domain = from->addr + from->domain_at;
    char id[HEADER_ID_MAX + 1];

    make_id(id, domain, "x", "0", NULL);
    return header_id_is_valid(id) ? domain : "forum.invalid";
}

void compose_id(const struct compose *c, char out[HEADER_ID_MAX + 1])
{
    make_id(out, id_domain(c), c->type, c->facts->notification_id, c->facts->user_id);
}

/* ---- links ---- */

static bool find_base(const struct compose *c, struct links *l, struct mail_fault *why)
{
    const char *base = c->facts->forum_address;
    const char *host;
    size_t len;

    if (!base || !base[0]) {
        base = c->options->forum_address;
    }
    if (!base || !base[0]) {
        return mail_fault_set(why, MAIL_FAULT_SETTING,
                              "the forum's setting forum_address is empty, and forum.address is "
                              "not set: there would be no link in the mail");
    }
    if (strncasecmp(base, "http://", 7) != 0 && strncasecmp(base, "https://", 8) != 0) {
        return mail_fault_set(why, MAIL_FAULT_SETTING,
                              "the forum's address does not begin with http:// or https://");
    }
    len = strlen(base);
    while (len > 0 && base[len - 1] == '/') {
        len--;
    }
    if (len > BASE_MAX) {
        return mail_fault_set(why, MAIL_FAULT_SETTING,
                              "the forum's address is longer than %d bytes", BASE_MAX);
    }
    memcpy(l->base, base, len);
    memcpy(l->base + len, "/", 2);
    host = strstr(l->base, "://") + 3;
    text_format(l->host, sizeof(l->host), "%.*s", (int)strcspn(host, "/"), host);
    return true;
}

static void make_links(const struct compose *c, struct links *l)
{
    const struct store_facts *f = c->facts;

    text_format(l->avatar, sizeof(l->avatar), "%savatar/%s/32/", l->base, f->user_id);
    text_format(l->thread, sizeof(l->thread), "%s%s/%s/%s/", l->base,
                f->thread_is_private ? "p" : "t", f->thread_slug, f->thread_id);
    text_format(l->post, sizeof(l->post), "%spost/%s/", l->base, f->post_id);
    text_format(l->settings, sizeof(l->settings), "%s%s/notifications/", l->base,
                c->is_040 ? "account" : "options");
    l->unsubscribe[0] = '\0';
    if (f->watched_id && f->secret) {
        text_format(l->unsubscribe, sizeof(l->unsubscribe), "%snotifications/disable-email/%s/%s/",
                    l->base, f->watched_id, f->secret);
    }
}

/* ---- the message ---- */

static bool render(const struct compose *c, const struct links *l, struct mail_parts *parts,
                   struct mail_fault *why)
{
    const struct store_facts *f = c->facts;
    const struct mail_data data = {
        .forum_name = f->forum_name,
        .forum_address = l->base,
        .forum_host = l->host,
        .forum_footer = f->forum_footer,
        .user_name = f->user_name,
        .user_avatar = l->avatar,
        .actor_name = f->actor_name,
        .thread_title = f->thread_title,
        .thread_link = l->thread,
        .link = strcmp(c->type, "mail.reply") == 0 ? l->post : l->thread,
        .unsubscribe = l->unsubscribe,
        .settings = l->settings,
    };

    return template_set_render(c->templates, c->type, c->options->language, &data, parts, why);
}

bool compose_message(const struct compose *c, const char *id, struct address *to, struct bytes *out,
                     struct mail_fault *why)
{
    const struct store_facts *f = c->facts;
    struct links links;
    struct mail_parts parts = {.subject = NULL};
    char thread_id[HEADER_ID_MAX + 1];
    const char *const references[1] = {thread_id};
    bool ok = false;

    if (!address_make(NULL, f->user_email ? f->user_email : "", MAIL_FAULT_DATA, to, why)) {
        return mail_fault_prefix(why, "the address of user %s", f->user_id);
    }
    if (!find_base(c, &links, why)) {
        return false;
    }
    make_links(c, &links);
    make_id(thread_id, id_domain(c), "thread", f->thread_id, NULL);
    if (render(c, &links, &parts, why)) {
        const struct message message = {
            .from = &c->options->from,
            .to = to,
            .subject = parts.subject,
            .text = parts.text,
            .html = parts.html,
            .message_id = id,
            .references = references,
            .references_count = 1,
            .unsubscribe = links.unsubscribe[0] ? links.unsubscribe : NULL,
            .one_click = true,
            .date_ms = c->date_ms,
        };
        ok = message_build(&message, out, why);
    }
    mail_parts_done(&parts);
    return ok;
}
