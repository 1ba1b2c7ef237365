/* SPDX-License-Identifier: MIT */
/* smtp: see smtp.h. */
#include "tests/support/smtp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/internal.h"
#include "tests/support/support.h"

#define READY_MS 30000

struct server {
    struct smtp_server smtp; /* first: what the test sees */
    struct smtp_server_options options;
    char key[224];
};

static struct server *server_of(struct smtp_server *s)
{
    return (struct server *)(void *)s;
}

/* A certificate that signed itself, with its key. */
static void make_certificate(const char *cert, const char *key)
{
    const char *const argv[] = {"openssl",
                                "req",
                                "-x509",
                                "-newkey",
                                "ec",
                                "-pkeyopt",
                                "ec_paramgen_curve:P-256",
                                "-nodes",
                                "-keyout",
                                key,
                                "-out",
                                cert,
                                "-days",
                                "3650",
                                "-subj",
                                "/CN=127.0.0.1",
                                "-addext",
                                "subjectAltName=DNS:localhost,IP:127.0.0.1",
                                NULL};
    char *out = NULL;
    int status = run_command(&out, NULL, argv);

    if (status != 0)
        fail_test("openssl: exit %d: %s", status, out);
    free(out);
}

static void launch(struct server *srv)
{
    struct smtp_server *s = &srv->smtp;
    char port[16], tls_port[16];
    const char *argv[20];
    size_t n = 0;

    snprintf(port, sizeof(port), "%d", s->port);
    snprintf(tls_port, sizeof(tls_port), "%d", s->tls_port);
    argv[n++] = "/usr/bin/python3";
    argv[n++] = source_path("contrib/forum/smtp_server.py");
    argv[n++] = "--spool";
    argv[n++] = s->spool;
    argv[n++] = "--port";
    argv[n++] = port;
    if (!srv->options.plain) {
        argv[n++] = "--smtps-port";
        argv[n++] = tls_port;
        argv[n++] = "--cert";
        argv[n++] = s->ca;
        argv[n++] = "--key";
        argv[n++] = srv->key;
    }
    if (srv->options.require_tls)
        argv[n++] = "--require-tls";
    if (srv->options.auth != NULL) {
        argv[n++] = "--auth";
        argv[n++] = srv->options.auth;
    }
    argv[n] = NULL;
    s->process = process_start("smtp", argv, NULL);
    if (!process_wait_log(s->process, "ready ", NULL, patience_ms(READY_MS)))
        fail_test("the mail server did not start (python3-aiosmtpd, openssl?)");
}

struct smtp_server *smtp_start(const struct smtp_server_options *o)
{
    struct server *srv = server_alloc(sizeof(*srv));
    struct smtp_server *s = &srv->smtp;
    struct process_user self = {0};
    char dir[160];

    srv->options = *o;
    make_dir("smtp", self, dir, sizeof(dir));
    snprintf(s->spool, sizeof(s->spool), "%s/spool", dir);
    snprintf(s->ca, sizeof(s->ca), "%s/cert.pem", dir);
    snprintf(srv->key, sizeof(srv->key), "%s/key.pem", dir);
    if (!o->plain)
        make_certificate(s->ca, srv->key);
    s->port = choose_port();
    s->tls_port = choose_port();
    snprintf(s->url, sizeof(s->url), "smtp://127.0.0.1:%d", s->port);
    snprintf(s->tls_url, sizeof(s->tls_url), "smtps://127.0.0.1:%d", s->tls_port);
    launch(srv);
    return s;
}

void smtp_kill(struct smtp_server *s)
{
    process_kill_group(s->process);
    process_free(s->process);
    s->process = NULL;
}

void smtp_restart(struct smtp_server *s)
{
    launch(server_of(s));
}

void smtp_stop(struct smtp_server *s)
{
    if (s->process != NULL)
        smtp_kill(s);
    server_free(server_of(s));
}

void smtp_rules(struct smtp_server *s, const char *rules)
{
    char name[256];

    snprintf(name, sizeof(name), "%s/rules.new", s->spool);
    write_file(name, rules);
    if (rename(name, fmt("%s/rules", s->spool)) != 0)
        fail_test("cannot write the rules");
}

/* ---- what it got ---- */

size_t smtp_mails(struct smtp_server *s)
{
    size_t n = 0;

    while (access(fmt("%s/%zu.json", s->spool, n + 1), F_OK) == 0)
        n++;
    return n;
}

struct mails_wait {
    struct smtp_server *s;
    size_t at_least;
    const char *text;
};

static bool has_mails(void *ctx)
{
    struct mails_wait *w = ctx;

    return smtp_mails(w->s) >= w->at_least;
}

bool smtp_wait_mails(struct smtp_server *s, size_t at_least, int64_t timeout_ms)
{
    struct mails_wait w = {s, at_least, NULL};

    return wait_until(now_ms() + timeout_ms, has_mails, &w);
}

static char *read_mail(struct smtp_server *s, size_t n, const char *suffix)
{
    char *text = read_file(fmt("%s/%zu.%s", s->spool, n, suffix));

    if (text == NULL)
        fail_test("the mail server got no mail %zu", n);
    return text;
}

char *smtp_mail(struct smtp_server *s, size_t n)
{
    return read_mail(s, n, "eml");
}

char *smtp_mail_json(struct smtp_server *s, size_t n)
{
    return read_mail(s, n, "json");
}

size_t smtp_events(struct smtp_server *s, const char *text)
{
    char *events = read_file(fmt("%s/events", s->spool));
    size_t n = 0;
    char *save = NULL;

    for (char *line = events != NULL ? strtok_r(events, "\n", &save) : NULL; line != NULL;
         line = strtok_r(NULL, "\n", &save))
        n += strstr(line, text) != NULL;
    free(events);
    return n;
}

static bool has_events(void *ctx)
{
    struct mails_wait *w = ctx;

    return smtp_events(w->s, w->text) >= w->at_least;
}

bool smtp_wait_event(struct smtp_server *s, const char *text, size_t at_least, int64_t timeout_ms)
{
    struct mails_wait w = {s, at_least, text};

    return wait_until(now_ms() + timeout_ms, has_events, &w);
}

const char *smtp_other_ca(void)
{
    static char path[256];

    if (path[0] == '\0') {
        snprintf(path, sizeof(path), "%s/other.pem", tmp_dir());
        make_certificate(path, fmt("%s/other.key", tmp_dir()));
    }
    return path;
}
