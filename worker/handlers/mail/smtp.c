/* SPDX-License-Identifier: MIT */
/* smtp: see smtp.h. */
#include "worker/handlers/mail/smtp.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "worker/handlers/common/text.h"

#define CONNECT_MAX_MS 10000
#define LEAVE_S 1L
#define SOCKETS_MAX 8
#define REPLY_CLOSING 421
#define REPLY_GO_AHEAD 354

struct smtp {
    struct smtp_options options;
    CURL *handle;   /* NULL: the next mail begins anew */
    unsigned mails; /* over this handle */
    /* of the mail under way */
    const char *message;
    size_t len;
    size_t at;
    struct smtp_result *out;
    bool leaving;             /* QUIT was sent: what comes now is no answer to the mail */
    int sockets[SOCKETS_MAX]; /* that the library has open; -1: none */
    char error[CURL_ERROR_SIZE];
};

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

const char *smtp_step_name(enum smtp_step step)
{
    static const char *const names[SMTP_STEPS] = {
        [SMTP_CONNECT] = "connecting", [SMTP_EHLO] = "EHLO",
        [SMTP_STARTTLS] = "STARTTLS",  [SMTP_AUTH] = "AUTH",
        [SMTP_MAIL] = "MAIL FROM",     [SMTP_RCPT] = "RCPT TO",
        [SMTP_DATA] = "DATA",          [SMTP_BODY] = "the end of the message",
    };
    return (unsigned)step < SMTP_STEPS ? names[step] : "?";
}

/* One line of printable ASCII: a server may say anything. */
static void copy_line(char *out, size_t size, const char *line, size_t len)
{
    size_t n = 0;

    while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r' || line[len - 1] == ' ')) {
        len--;
    }
    for (size_t i = 0; i < len && n + 1 < size; i++) {
        unsigned char c = (unsigned char)line[i];
        out[n++] = c >= ' ' && c < 0x7f ? (char)c : '?';
    }
    out[n] = '\0';
}

/* ---- where the dialogue is ---- */

static bool starts_with(const char *data, size_t len, const char *word)
{
    size_t n = strlen(word);
    return len >= n && memcmp(data, word, n) == 0;
}

/* A line of AUTH may hold the password: only its first word is looked at. */
static void note_command(struct smtp_result *out, const char *data, size_t len)
{
    static const struct {
        const char *word;
        enum smtp_step step;
    } commands[] = {
        {"EHLO", SMTP_EHLO}, {"HELO", SMTP_EHLO},      {"STARTTLS", SMTP_STARTTLS},
        {"AUTH", SMTP_AUTH}, {"MAIL FROM", SMTP_MAIL}, {"RCPT TO", SMTP_RCPT},
        {"DATA", SMTP_DATA},
    };

    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (starts_with(data, len, commands[i].word)) {
            out->step = commands[i].step;
            break;
        }
    }
    out->code = 0;
    out->reply[0] = '\0';
}

static void note_reply(struct smtp_result *out, const char *line, size_t len)
{
    int code = 0;

    if (len < 3) {
        return;
    }
    for (size_t i = 0; i < 3; i++) {
        if (line[i] < '0' || line[i] > '9') {
            return;
        }
        code = code * 10 + (line[i] - '0');
    }
    if (len > 3 && line[3] == '-') {
        return; /* more lines follow */
    }
    if (out->step == SMTP_DATA && code == REPLY_GO_AHEAD) {
        out->step = SMTP_BODY;
        out->code = 0;
        return;
    }
    out->code = code;
    copy_line(out->reply, sizeof(out->reply), line + (len > 4 ? 4 : len), len > 4 ? len - 4 : 0);
}

/* The library waits for the answer to QUIT as long as for any other: here it comes at once. */
static void stop_listening(struct smtp *s)
{
    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        if (s->sockets[i] >= 0) {
            (void)shutdown(s->sockets[i], SHUT_RD);
        }
    }
}

static int on_debug(CURL *handle, curl_infotype type, char *data, size_t len, void *ctx)
{
    struct smtp *s = ctx;

    (void)handle;
    if (type == CURLINFO_HEADER_OUT) {
        s->leaving = starts_with(data, len, "QUIT");
    }
    if (s->leaving && s->out) {
        stop_listening(s);
    } else if (s->out && type == CURLINFO_HEADER_OUT) {
        note_command(s->out, data, len);
    } else if (s->out && type == CURLINFO_HEADER_IN) {
        note_reply(s->out, data, len);
    }
    return 0;
}

/* ---- sockets ---- */

static int on_socket(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
    struct smtp *s = ctx;

    (void)purpose;
    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        if (s->sockets[i] < 0) {
            s->sockets[i] = fd;
            break;
        }
    }
    return CURL_SOCKOPT_OK;
}

static int on_close(void *ctx, curl_socket_t fd)
{
    struct smtp *s = ctx;

    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        if (s->sockets[i] == fd) {
            s->sockets[i] = -1;
        }
    }
    return close(fd);
}

static size_t on_read(char *buffer, size_t size, size_t count, void *ctx)
{
    struct smtp *s = ctx;
    size_t n = size * count;

    if (n > s->len - s->at) {
        n = s->len - s->at;
    }
    memcpy(buffer, s->message + s->at, n);
    s->at += n;
    return n;
}

static size_t on_write(char *data, size_t size, size_t count, void *ctx)
{
    (void)data;
    (void)ctx;
    return size * count;
}

/* ---- the handle ---- */

static bool set_server(CURL *h, const struct smtp_options *o)
{
    static const long use_ssl[] = {
        [SMTP_TLS_NONE] = CURLUSESSL_NONE,
        [SMTP_TLS_TRY] = CURLUSESSL_TRY,
        [SMTP_TLS_REQUIRE] = CURLUSESSL_ALL,
    };

    return curl_easy_setopt(h, CURLOPT_URL, o->url) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "smtp,smtps") == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_USE_SSL, use_ssl[o->tls]) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
           (!o->ca || curl_easy_setopt(h, CURLOPT_CAINFO, o->ca) == CURLE_OK) &&
           (!o->ca || curl_easy_setopt(h, CURLOPT_CAPATH, NULL) == CURLE_OK) &&
           (!o->user || curl_easy_setopt(h, CURLOPT_USERNAME, o->user) == CURLE_OK) &&
           (!o->password || curl_easy_setopt(h, CURLOPT_PASSWORD, o->password) == CURLE_OK);
}

static bool set_ways(struct smtp *s, CURL *h)
{
    return curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_UPLOAD, 1L) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_READFUNCTION, on_read) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_READDATA, s) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_write) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_DEBUGFUNCTION, on_debug) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_DEBUGDATA, s) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_VERBOSE, 1L) == CURLE_OK && /* for on_debug() only */
           curl_easy_setopt(h, CURLOPT_SOCKOPTFUNCTION, on_socket) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_SOCKOPTDATA, s) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_CLOSESOCKETFUNCTION, on_close) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_CLOSESOCKETDATA, s) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_ERRORBUFFER, s->error) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_MAXCONNECTS, 1L) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_MAXAGE_CONN, (long)SMTP_IDLE_MAX_S) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_MAXLIFETIME_CONN, (long)SMTP_AGE_MAX_S) == CURLE_OK;
}

static bool open_handle(struct smtp *s)
{
    s->mails = 0;
    s->handle = curl_easy_init();
    if (s->handle && set_server(s->handle, &s->options) && set_ways(s, s->handle)) {
        return true;
    }
    curl_easy_cleanup(s->handle);
    s->handle = NULL;
    return false;
}

/* polite: QUIT is said, and its answer waited for. Otherwise who did not answer before is not
   listened to any more. */
static void drop_handle(struct smtp *s, bool polite)
{
    if (!s->handle) {
        return;
    }
    if (!polite) {
        stop_listening(s);
    }
    (void)curl_easy_setopt(s->handle, CURLOPT_SERVER_RESPONSE_TIMEOUT, LEAVE_S);
    curl_easy_cleanup(s->handle);
    s->handle = NULL;
}

struct smtp *smtp_new(const struct smtp_options *options)
{
    struct smtp *s = calloc(1, sizeof(*s));

    if (s) {
        s->options = *options;
        for (size_t i = 0; i < SOCKETS_MAX; i++) {
            s->sockets[i] = -1;
        }
    }
    return s;
}

void smtp_free(struct smtp *s)
{
    if (s) {
        drop_handle(s, true);
        free(s);
    }
}

/* ---- a mail ---- */

/* The library writes an address into the dialogue as it is. */
static bool is_harmless(const char *address)
{
    size_t len = strlen(address);

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)address[i];
        if (c <= ' ' || c == 0x7f || c == '<' || c == '>') {
            return false;
        }
    }
    return len > 0 && len < 512 && memchr(address, '@', len) != NULL;
}

static long at_most(int64_t ms, int64_t most)
{
    return (long)(ms < most ? ms : most);
}

static CURLcode set_mail(struct smtp *s, const char *from, struct curl_slist *to,
                         int64_t timeout_ms)
{
    CURL *h = s->handle;
    long whole_s = (long)(timeout_ms / 1000 + 1);

    if (curl_easy_setopt(h, CURLOPT_MAIL_FROM, from) != CURLE_OK ||
        curl_easy_setopt(h, CURLOPT_MAIL_RCPT, to) != CURLE_OK ||
        curl_easy_setopt(h, CURLOPT_INFILESIZE_LARGE, (curl_off_t)s->len) != CURLE_OK ||
        curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, at_most(timeout_ms, INT32_MAX)) != CURLE_OK ||
        curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, at_most(timeout_ms, CONNECT_MAX_MS)) !=
            CURLE_OK ||
        curl_easy_setopt(h, CURLOPT_SERVER_RESPONSE_TIMEOUT, whole_s) != CURLE_OK) {
        return CURLE_OUT_OF_MEMORY;
    }
    return CURLE_OK;
}

static void perform(struct smtp *s, const char *from, const char *to, int64_t timeout_ms,
                    struct smtp_result *out)
{
    char bracketed[520];
    struct curl_slist *recipients = NULL;
    CURLcode rc = CURLE_OUT_OF_MEMORY;
    long connects = 1;

    *out = (struct smtp_result){.step = SMTP_CONNECT};
    text_format(bracketed, sizeof(bracketed), "<%s>", to);
    recipients = curl_slist_append(NULL, bracketed);
    s->at = 0;
    s->out = out;
    s->leaving = false;
    s->error[0] = '\0';
    if (recipients && (s->handle || open_handle(s))) {
        text_format(bracketed, sizeof(bracketed), "<%s>", from);
        rc = set_mail(s, bracketed, recipients, timeout_ms);
    }
    if (rc == CURLE_OK) {
        rc = curl_easy_perform(s->handle);
        (void)curl_easy_getinfo(s->handle, CURLINFO_NUM_CONNECTS, &connects);
        (void)curl_easy_setopt(s->handle, CURLOPT_MAIL_RCPT, NULL);
    }
    s->out = NULL;
    out->curl = (int)rc;
    out->reused = connects == 0;
    if (rc != CURLE_OK) {
        const char *why = s->error[0] ? s->error : curl_easy_strerror(rc);
        copy_line(out->error, sizeof(out->error), why, strlen(why));
    }
    curl_slist_free_all(recipients);
}

/* The server closed the connection while it was not used: nothing of the mail was taken. */
static bool was_stale(const struct smtp_result *r)
{
    return r->curl != CURLE_OK && r->reused && r->step <= SMTP_MAIL &&
           (r->code == REPLY_CLOSING || (r->code == 0 && r->curl != CURLE_OPERATION_TIMEDOUT));
}

bool smtp_send(struct smtp *s, const char *from, const char *to, const char *message, size_t len,
               int64_t timeout_ms, struct smtp_result *out)
{
    int64_t deadline_ms = now_ms() + timeout_ms;

    if (!is_harmless(from) || !is_harmless(to)) {
        return false;
    }
    s->message = message;
    s->len = len;
    perform(s, from, to, timeout_ms, out);
    if (was_stale(out) && deadline_ms - now_ms() > timeout_ms / 2) {
        drop_handle(s, false);
        perform(s, from, to, deadline_ms - now_ms(), out);
    }
    s->mails++;
    if (out->curl != CURLE_OK) {
        drop_handle(s, false);
    } else if (s->mails >= SMTP_MAILS_MAX) {
        drop_handle(s, true);
    }
    s->message = NULL;
    return true;
}
