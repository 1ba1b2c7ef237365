/* SPDX-License-Identifier: MIT */
/* options: see options.h. */
#include "worker/handlers/mail/options.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "worker/handlers/common/text.h"
#include "worker/handlers/mail/rate.h"

#define DEADLINE_DEFAULT_MS 30000
#define RETENTION_DEFAULT_MS ((int64_t)7 * 24 * 3600 * 1000)

struct reading {
    const jobq_host *host;
    char *text;
    size_t text_size;
};

static const char *get(const struct reading *r, const char *key)
{
    const char *value = r->host->config(r->host->ctx, key);
    return value && value[0] ? value : NULL;
}

static int64_t get_number(const struct reading *r, const char *key, int64_t fallback)
{
    const char *value = get(r, key);
    return value ? strtoll(value, NULL, 10) : fallback;
}

static bool refuse(const struct reading *r, const char *what)
{
    text_format(r->text, r->text_size, "%s", what);
    return false;
}

/* User and password inside the URL would end up in messages. */
static bool check_url(const struct reading *r, const char *url)
{
    CURLU *u = curl_url();
    char *part = NULL;
    char *scheme = NULL;
    bool ok = false;

    if (!u || curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        (strcmp(scheme, "smtp") != 0 && strcmp(scheme, "smtps") != 0)) {
        refuse(r, "mail.url: must be smtp://host[:port] or smtps://host[:port]");
    } else if (curl_url_get(u, CURLUPART_USER, &part, 0) == CURLUE_OK ||
               curl_url_get(u, CURLUPART_PASSWORD, &part, 0) == CURLUE_OK ||
               curl_url_get(u, CURLUPART_OPTIONS, &part, 0) == CURLUE_OK) {
        refuse(r, "mail.url: must not hold user or password; mail.user and mail.password do");
    } else {
        ok = true;
    }
    curl_free(part);
    curl_free(scheme);
    curl_url_cleanup(u);
    return ok;
}

static bool read_server(const struct reading *r, struct smtp_options *out)
{
    const char *tls = get(r, "mail.tls");

    *out = (struct smtp_options){
        .url = get(r, "mail.url"),
        .user = get(r, "mail.user"),
        .password = get(r, "mail.password"),
        .ca = get(r, "mail.ca"),
        .tls = SMTP_TLS_REQUIRE,
    };
    if (tls && strcmp(tls, "none") == 0) {
        out->tls = SMTP_TLS_NONE;
    } else if (tls && strcmp(tls, "try") == 0) {
        out->tls = SMTP_TLS_TRY;
    }
    if (!out->url) {
        return refuse(r, "mail.url: not set; name the mail server, as in \"smtp://localhost:25\"");
    }
    if (!check_url(r, out->url)) {
        return false;
    }
    if (!out->user != !out->password) {
        return refuse(r, "mail.user and mail.password: one of them is not set");
    }
    if (out->user && out->tls == SMTP_TLS_TRY && strncasecmp(out->url, "smtps:", 6) != 0) {
        return refuse(r, "mail.tls: \"try\" would give the password to whoever hinders TLS; with "
                         "mail.user it must be \"require\" (or \"none\")");
    }
    return true;
}

bool options_read(const jobq_host *host, struct options *out, char *text, size_t text_size)
{
    const struct reading r = {host, text, text_size};
    const char *from = get(&r, "mail.from");
    const char *rate = get(&r, "mail.rate");
    const char *enabled = get(&r, "mail.enabled");
    struct mail_fault why;

    *out = (struct options){
        .language = get(&r, "mail.language"),
        .templates = get(&r, "mail.templates"),
        .schema = get(&r, "schema"),
        .forum_address = get(&r, "forum.address"),
        .deadline_ms = get_number(&r, "mail.deadline", DEADLINE_DEFAULT_MS),
        .retention_ms = get_number(&r, "done_retention", RETENTION_DEFAULT_MS),
        .enabled = !enabled || strcmp(enabled, "false") != 0,
    };
    out->language = out->language ? out->language : "en";
    out->schema = out->schema ? out->schema : "jobq";
    if (!read_server(&r, &out->smtp)) {
        return false;
    }
    if (!from) {
        return refuse(&r,
                      "mail.from: not set; name the sender, as in \"Forum <forum@example.org>\"");
    }
    if (!address_parse(from, strlen(from), MAIL_FAULT_SETTING, &out->from, &why)) {
        text_format(text, text_size, "mail.from: %s", why.text);
        return false;
    }
    if (rate && !rate_parse(rate, &out->rate_interval_us)) {
        return refuse(&r,
                      "mail.rate: must be such as \"10/s\", \"300/m\", \"2000/h\" or \"500/d\"");
    }
    return true;
}
