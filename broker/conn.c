/* SPDX-License-Identifier: MIT */
/*
 * conn: see conn.h. A connection that fails drops everything it held; what it had been told and had
 * surely not sent is still counted (conn_unsent), because that is the difference between "not
 * stored" and "not known".
 */
#include "broker/conn.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "broker/reply.h"
#include "broker/resolve.h"
#include "broker/resp.h"
#include "broker/sock.h"
#include "broker/url.h"

#define OUT_MAX ((size_t)1 << 30)
#define OUT_KEPT ((size_t)1 << 20) /* an empty buffer larger than this is given back */
#define READ_BYTES 16384 /* hiredis moves what it holds at each reply: small pieces are faster */
#define READS_PER_STEP 64
#define RESOLVE_POLL_MS 2
#define ADDRESS_PATIENCE_MS 500    /* before the next address of a host is tried */

enum greeting { GREET_AUTH, GREET_SELECT, GREET_NAME, GREET_ID, GREET_COUNT };

struct conn {
    struct redis_url url;
    char *name;
    enum conn_state state;
    int fd;
    struct resolve *resolve; /* kept while a lookup runs, so that a retry does not start another */
    size_t next_address;
    int64_t give_up_ms;      /* on this address; -1: it is the last */
    int connect_errno;       /* why the last address failed */
    struct buf out;
    size_t sent;             /* bytes of out that have left */
    size_t unsent;           /* of the connection before, while down */
    bool sent_any;
    int write_errno;         /* sending failed; replies that came before are still read */
    redisReader *reader;
    enum greeting greeting[GREET_COUNT];
    size_t greeting_len;
    size_t greeting_read;
    int64_t client_id;
    char local[SOCK_ADDRESS_SIZE];
};

int conn_new(const struct redis_url *url, const char *name, struct conn **out, jobq_err *err)
{
    struct conn *c = mem_zalloc(1, sizeof(*c));
    int code = JOBQ_ENOMEM;

    if (c == NULL)
        return error_set(err, JOBQ_ENOMEM, "no memory for a connection");
    c->fd = -1;
    buf_init(&c->out, OUT_MAX);
    c->name = mem_strdup(name);
    if (c->name == NULL)
        error_set(err, JOBQ_ENOMEM, "no memory for a connection");
    else
        code = url_copy(url, &c->url, err);
    if (code != JOBQ_OK) {
        conn_free(c);
        return code;
    }
    *out = c;
    return JOBQ_OK;
}

/* Closes the descriptor and drops all bytes, remembering how many were not sent. */
static void drop_link(struct conn *c)
{
    if (c->state != CONN_DOWN)
        c->unsent = c->out.len - c->sent;
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    buf_done(&c->out);
    c->sent = 0;
    c->write_errno = 0;
    if (c->reader != NULL)
        redisReaderFree(c->reader);
    c->reader = NULL;
    c->greeting_len = 0;
    c->greeting_read = 0;
    c->client_id = 0;
    c->local[0] = '\0';
    c->give_up_ms = -1;
    c->state = CONN_DOWN;
}

static void drop_lookup(struct conn *c)
{
    resolve_drop(c->resolve);
    c->resolve = NULL;
}

void conn_close(struct conn *c)
{
    drop_link(c);
    if (c->resolve != NULL && resolve_is_done(c->resolve))
        drop_lookup(c);
}

void conn_forget(struct conn *c)
{
    /* close() alone sends nothing while the parent holds the socket too. */
    drop_link(c);
    resolve_forget(c->resolve);
    c->resolve = NULL;
}

void conn_free(struct conn *c)
{
    if (c == NULL)
        return;
    drop_link(c);
    drop_lookup(c);
    url_done(&c->url);
    mem_free(c->name);
    mem_free(c);
}

enum conn_state conn_state(const struct conn *c)
{
    return c->state;
}

const char *conn_where(const struct conn *c)
{
    return c->url.shown;
}

int64_t conn_client_id(const struct conn *c)
{
    return c->client_id;
}

const char *conn_local_address(const struct conn *c)
{
    return c->local;
}

int conn_fd(const struct conn *c)
{
    return c->fd;
}

struct buf *conn_out(struct conn *c)
{
    return &c->out;
}

void conn_mark(struct conn *c)
{
    c->sent_any = false;
}

bool conn_may_have_sent(const struct conn *c)
{
    return c->sent_any;
}

size_t conn_unsent(const struct conn *c)
{
    return c->state == CONN_DOWN ? c->unsent : c->out.len - c->sent;
}

uint32_t conn_events(const struct conn *c)
{
    switch (c->state) {
    case CONN_CONNECTING:
        return EPOLLOUT;
    case CONN_GREETING:
    case CONN_READY:
        return c->out.len > c->sent && c->write_errno == 0 ? EPOLLIN | EPOLLOUT : EPOLLIN;
    default:
        return 0;
    }
}

int64_t conn_poll_ms(const struct conn *c)
{
    if (c->state == CONN_RESOLVING)
        return RESOLVE_POLL_MS;
    if (c->state == CONN_CONNECTING && c->give_up_ms >= 0)
        return MAX(c->give_up_ms - clock_mono_ms(), 0);
    return -1;
}

static void add_greeting(struct conn *c, enum greeting what)
{
    c->greeting[c->greeting_len++] = what;
}

/* The socket is open: says who we are. */
static int start_greeting(struct conn *c, jobq_err *err)
{
    struct buf *out = &c->out;

    c->reader = redisReaderCreate();
    if (c->reader == NULL) {
        drop_link(c);
        return error_set(err, JOBQ_ENOMEM, "no memory for a connection");
    }
    if (c->url.path == NULL)
        sock_local_address(c->fd, c->local, sizeof(c->local));
    if (c->url.password != NULL) {
        add_greeting(c, GREET_AUTH);
        resp_begin(out, c->url.user != NULL ? 3 : 2);
        resp_str(out, "AUTH");
        if (c->url.user != NULL)
            resp_str(out, c->url.user);
        resp_str(out, c->url.password);
    }
    if (c->url.db != 0) {
        add_greeting(c, GREET_SELECT);
        resp_begin(out, 2);
        resp_str(out, "SELECT");
        resp_int(out, c->url.db);
    }
    add_greeting(c, GREET_NAME);
    resp_command(out, "CLIENT", "SETNAME", c->name, (char *)NULL);
    add_greeting(c, GREET_ID);
    resp_command(out, "CLIENT", "ID", (char *)NULL);
    c->state = CONN_GREETING;
    return conn_flush(c, err);
}

static int fail_connect(struct conn *c, jobq_err *err)
{
    int failed = c->connect_errno;

    drop_link(c);
    drop_lookup(c);
    return error_set(err, JOBQ_ECONN, "cannot connect to Redis at %s: %s", c->url.shown,
                     failed == EAGAIN ? "its backlog is full" : strerrordesc_np(failed));
}

static int start_unix(struct conn *c, jobq_err *err)
{
    int fd = sock_connect_unix(c->url.path);

    if (fd < 0) {
        c->connect_errno = -fd;
        return fail_connect(c, err);
    }
    c->fd = fd;
    c->state = CONN_CONNECTING;
    return JOBQ_OK;
}

/* Begins with the next address that does not fail at once. */
static int try_next_address(struct conn *c, jobq_err *err)
{
    const struct sockaddr *address;
    socklen_t len;

    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    while (c->resolve != NULL && resolve_address(c->resolve, c->next_address, &address, &len)) {
        bool last = !resolve_address(c->resolve, ++c->next_address,
                                     &(const struct sockaddr *){NULL}, &(socklen_t){0});
        int fd = sock_connect(address, len);
        if (fd < 0) {
            c->connect_errno = -fd;
            continue;
        }
        c->fd = fd;
        c->state = CONN_CONNECTING;
        c->give_up_ms = last ? -1 : clock_mono_ms() + ADDRESS_PATIENCE_MS;
        return JOBQ_OK;
    }
    return fail_connect(c, err);
}

static int go_on_resolving(struct conn *c, jobq_err *err)
{
    if (!resolve_is_done(c->resolve))
        return JOBQ_OK;
    int code = resolve_result(c->resolve, err);
    if (code != JOBQ_OK) {
        drop_link(c);
        drop_lookup(c);
        return code;
    }
    c->next_address = 0;
    return try_next_address(c, err);
}

int conn_start(struct conn *c, jobq_err *err)
{
    conn_close(c);
    c->unsent = 0;
    c->sent_any = false;
    c->connect_errno = 0;
    if (c->url.path != NULL)
        return start_unix(c, err);
    if (c->resolve == NULL) {
        int code = resolve_start(c->url.host, c->url.port, &c->resolve, err);
        if (code != JOBQ_OK)
            return code;
    }
    c->state = CONN_RESOLVING;
    return go_on_resolving(c, err);
}

static int go_on_connecting(struct conn *c, jobq_err *err)
{
    int failed = sock_check(c->fd);

    if (failed == 0) {
        drop_lookup(c);
        c->give_up_ms = -1;
        return start_greeting(c, err);
    }
    if (failed == EINPROGRESS) {
        if (c->give_up_ms < 0 || clock_mono_ms() < c->give_up_ms)
            return JOBQ_OK;
        failed = ETIMEDOUT;
    }
    c->connect_errno = failed;
    return try_next_address(c, err);
}

static int fail_link(struct conn *c, const char *what, int failed, jobq_err *err)
{
    drop_link(c);
    if (failed == 0)
        return error_set(err, JOBQ_ECONN, "Redis at %s %s", c->url.shown, what);
    return error_set(err, JOBQ_ECONN, "Redis at %s %s: %s", c->url.shown, what,
                     strerrordesc_np(failed));
}

/* All is sent: starts afresh, giving back the memory of an unusually large command. */
static void empty_out(struct conn *c)
{
    if (c->out.cap > OUT_KEPT)
        buf_done(&c->out);
    else
        buf_clear(&c->out);
    c->sent = 0;
}

int conn_flush(struct conn *c, jobq_err *err)
{
    if (c->state != CONN_READY && c->state != CONN_GREETING)
        return c->state == CONN_DOWN ? error_set(err, JOBQ_ECONN, "not connected to Redis at %s",
                                                 c->url.shown)
                                     : JOBQ_OK;
    if (c->out.failed) {
        drop_link(c);
        return error_set(err, JOBQ_ENOMEM, "no memory for commands to Redis at %s", c->url.shown);
    }
    while (c->sent < c->out.len && c->write_errno == 0) {
        ssize_t n = send(c->fd, c->out.data + c->sent, c->out.len - c->sent, MSG_NOSIGNAL);
        if (n >= 0) {
            c->sent_any = true;
            c->sent += (size_t)n;
        } else if (errno == EAGAIN) {
            break;
        } else if (errno != EINTR) {
            c->write_errno = errno;
        }
    }
    if (c->sent == c->out.len && c->sent > 0) {
        empty_out(c);
    } else if (c->sent > OUT_KEPT && c->sent > c->out.len / 2) {
        buf_consume(&c->out, c->sent);
        c->sent = 0;
    }
    return JOBQ_OK;
}

/* Reads what there is. A failure after some bytes is left for the next step: their replies come
 * first. */
static int read_some(struct conn *c, jobq_err *err)
{
    char bytes[READ_BYTES];

    for (int i = 0; i < READS_PER_STEP; i++) {
        ssize_t n = recv(c->fd, bytes, sizeof(bytes), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            if (i > 0)
                return JOBQ_OK;
            if (n == 0)
                return fail_link(c, "closed the connection", c->write_errno, err);
            if (errno != EAGAIN)
                return fail_link(c, "is lost", errno, err);
            return c->write_errno == 0 ? JOBQ_OK : fail_link(c, "is lost", c->write_errno, err);
        }
        if (redisReaderFeed(c->reader, bytes, (size_t)n) != REDIS_OK) {
            drop_link(c);
            return error_set(err, JOBQ_ENOMEM, "no memory for a reply of Redis at %s",
                             c->url.shown);
        }
        if ((size_t)n < sizeof(bytes))
            return JOBQ_OK;
    }
    return JOBQ_OK;
}

/* Down because of an error reply to a greeting. */
static int refuse_greeting(struct conn *c, const redisReply *r, jobq_err *err)
{
    enum reply_class class = reply_class_of(r);

    drop_link(c);
    if (class == REPLY_AUTH)
        return error_set(err, JOBQ_EAUTH, "Redis at %s refused us: %s (check user and password)",
                         c->url.shown, r->str);
    return error_set(err, JOBQ_EREDIS, "Redis at %s: %s", c->url.shown, r->str);
}

/* CLIENT SETNAME and CLIENT ID are a courtesy: a user who may not call them still has a
 * connection. */
static bool is_courtesy_refused(enum greeting what, const redisReply *r)
{
    enum reply_class class = reply_class_of(r);

    if (what != GREET_NAME && what != GREET_ID)
        return false;
    return class == REPLY_OTHER || (class == REPLY_AUTH && strncmp(r->str, "NOPERM", 6) == 0);
}

static int read_greetings(struct conn *c, jobq_err *err)
{
    while (c->state == CONN_GREETING) {
        redisReply *r = NULL;
        int code = conn_next(c, &r, err);
        if (code != JOBQ_OK || r == NULL)
            return code;
        enum greeting what = c->greeting[c->greeting_read];
        if (r->type == REDIS_REPLY_ERROR && !is_courtesy_refused(what, r))
            code = refuse_greeting(c, r, err);
        else if (what == GREET_ID && r->type == REDIS_REPLY_INTEGER)
            c->client_id = r->integer;
        freeReplyObject(r);
        if (code != JOBQ_OK)
            return code;
        if (++c->greeting_read == c->greeting_len)
            c->state = CONN_READY;
    }
    return JOBQ_OK;
}

static int go_on_talking(struct conn *c, jobq_err *err)
{
    int code = conn_flush(c, err);

    if (code == JOBQ_OK)
        code = read_some(c, err);
    if (code == JOBQ_OK && c->state == CONN_GREETING)
        code = read_greetings(c, err);
    return code;
}

int conn_step(struct conn *c, jobq_err *err)
{
    int code = JOBQ_OK;

    if (c->state == CONN_DOWN)
        return error_set(err, JOBQ_ECONN, "not connected to Redis at %s", c->url.shown);
    if (c->state == CONN_RESOLVING)
        code = go_on_resolving(c, err);
    if (code == JOBQ_OK && c->state == CONN_CONNECTING)
        code = go_on_connecting(c, err);
    if (code == JOBQ_OK && (c->state == CONN_GREETING || c->state == CONN_READY))
        code = go_on_talking(c, err);
    return code;
}

int conn_next(struct conn *c, struct redisReply **out, jobq_err *err)
{
    void *reply = NULL;

    if (c->reader == NULL)
        return error_set(err, JOBQ_ECONN, "not connected to Redis at %s", c->url.shown);
    if (redisReaderGetReply(c->reader, &reply) != REDIS_OK) {
        bool no_memory = c->reader->err == REDIS_ERR_OOM;
        char text[sizeof(c->reader->errstr)];
        memcpy(text, c->reader->errstr, sizeof(text));
        text[sizeof(text) - 1] = '\0';
        drop_link(c);
        if (no_memory)
            return error_set(err, JOBQ_ENOMEM, "no memory for a reply of Redis at %s",
                             c->url.shown);
        return error_set(err, JOBQ_EPROTO, "what answers at %s does not speak Redis's protocol: %s",
                         c->url.shown, text);
    }
    *out = reply;
    return JOBQ_OK;
}
