/* SPDX-License-Identifier: MIT */
/*
 * http: see http.h. libmicrohttpd has an epoll descriptor of its own, nested in ours; it has no
 * thread, and is run when that descriptor or its timeout says so.
 */
#include "worker/http.h"

#include <microhttpd.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/list.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "worker/http_impl.h"

#define MEMORY_BYTES 8192 /* of a connection: head of the request and of the answer */
#define BODY_MAX (16 * 1024 * 1024)

/* A connection, oldest first. */
struct caller {
    struct list node;
    int fd;
    int64_t ends_ms;
};

struct http {
    struct loop *loop;
    http_answer_fn fn;
    void *ctx;
    struct MHD_Daemon *daemon;
    struct loop_io *io;
    struct http_file file;
    struct list callers;
    bool dirty;   /* something happened since the last look at its timeout */
    bool retired; /* a connection ended: it is run once more */
    int64_t due_ms;
};

/* ---- answering ---- */

static enum MHD_Result send_body(struct MHD_Connection *connection, int status, struct buf *body)
{
    size_t len = 0;
    char *bytes = buf_steal(body, &len);
    struct MHD_Response *response =
        bytes ? MHD_create_response_from_buffer_with_free_callback(len, bytes, mem_free)
              : MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);
    if (!response) {
        mem_free(bytes);
        return MHD_NO;
    }
    enum MHD_Result rc = MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                                 "text/plain; version=0.0.4; charset=utf-8");
    if (rc == MHD_YES)
        rc = MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (rc == MHD_YES)
        rc = MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    if (rc == MHD_YES)
        rc = MHD_queue_response(connection, (unsigned)status, response);
    MHD_destroy_response(response);
    return rc;
}

/* Called twice: with the head of the request, then when all of it was read. */
static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **request)
{
    static char seen;
    struct http *h = ctx;
    struct buf body;
    int status;
    (void)version;
    (void)upload;
    bool known =
        strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
    if (known && !*request) {
        *request = &seen;
        return MHD_YES;
    }
    if (known && *upload_size) {
        *upload_size = 0; /* nobody asked for it */
        return MHD_YES;
    }
    buf_init(&body, BODY_MAX);
    if (known) {
        status = h->fn(h->ctx, url, &body);
    } else {
        status = MHD_HTTP_METHOD_NOT_ALLOWED;
        buf_append_str(&body, "only GET and HEAD\n");
    }
    if (body.failed) {
        buf_clear(&body);
        status = MHD_HTTP_INTERNAL_SERVER_ERROR;
        buf_append_str(&body, "out of memory\n");
    }
    enum MHD_Result rc = send_body(connection, status, &body);
    buf_done(&body);
    return rc;
}

/* ---- connections ---- */

static void on_connection(void *ctx, struct MHD_Connection *connection, void **socket_ctx,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http *h = ctx;
    struct caller *c = *socket_ctx;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        h->retired = true;
        if (c)
            list_remove(&c->node);
        mem_free(c);
        *socket_ctx = NULL;
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    c = info ? mem_zalloc(1, sizeof(*c)) : NULL;
    if (!c)
        return; /* then only its silence ends it */
    c->fd = info->connect_fd;
    c->ends_ms = loop_now(h->loop) + HTTP_SECONDS * 1000;
    list_push_back(&h->callers, &c->node);
    *socket_ctx = c;
}

/* libmicrohttpd ends those that are silent; one that says or takes a byte now and then is ended
 * here. It learns of it as of a connection that broke. */
static void end_slow(struct http *h, int64_t now_ms)
{
    LIST_FOR_EACH (node, &h->callers) {
        struct caller *c = LIST_ENTRY(node, struct caller, node);
        if (c->ends_ms > now_ms)
            return;
        shutdown(c->fd, SHUT_RDWR);
        c->ends_ms = now_ms + HTTP_SECONDS * 1000;
        list_remove(&c->node);
        list_push_back(&h->callers, &c->node);
    }
}

/*
 * At its limit of connections it looks away from the listening socket, and looks at it again only
 * in the run after the one in which a connection ended. Nothing else would bring that run about.
 */
static void run(struct http *h)
{
    h->dirty = true;
    h->retired = false;
    MHD_run(h->daemon);
}

static void on_io(void *ctx, uint32_t events)
{
    (void)events;
    run(ctx);
}

int64_t http_run(struct http *h, int64_t now_ms)
{
    MHD_UNSIGNED_LONG_LONG wait_ms;
    end_slow(h, now_ms);
    if (now_ms >= h->due_ms || h->retired)
        run(h);
    if (h->dirty) {
        h->dirty = false;
        h->due_ms = INT64_MAX;
        if (MHD_get_timeout(h->daemon, &wait_ms) == MHD_YES)
            h->due_ms = now_ms + (int64_t)MIN(wait_ms, (MHD_UNSIGNED_LONG_LONG)HTTP_SECONDS * 1000);
    }
    if (h->retired)
        return now_ms;
    const struct caller *oldest = LIST_FIRST(&h->callers, struct caller, node);
    return oldest ? MIN(h->due_ms, oldest->ends_ms) : h->due_ms;
}

/* ---- life ---- */

/* What it complains about is a client's doing. */
static void PRINTF_LIKE(2, 0) on_complaint(void *ctx, const char *format, va_list values)
{
    (void)ctx;
    (void)format;
    (void)values;
}

static int start_daemon(struct http *h, const struct http_address *address, jobq_err *err)
{
    int fd = http_listen(address, err);
    if (fd < 0)
        return JOBQ_ESTATE;
    http_note_file(address, &h->file);
    h->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, h, /* on our socket: */
        MHD_OPTION_EXTERNAL_LOGGER, on_complaint, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)HTTP_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_BYTES,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, h, MHD_OPTION_END);
    if (!h->daemon) {
        close(fd);
        return error_set(err, JOBQ_ESTATE, "%s: libmicrohttpd does not start", address->shown);
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info)
        return error_set(err, JOBQ_ESTATE, "libmicrohttpd has no epoll descriptor");
    return loop_io_add(h->loop, info->epoll_fd, EPOLLIN, on_io, h, &h->io, err);
}

int http_new(struct loop *loop, const struct http_address *address, http_answer_fn fn, void *ctx,
             struct http **out, jobq_err *err)
{
    struct http *h = mem_zalloc(1, sizeof(*h));
    if (!h)
        return error_set(err, JOBQ_ENOMEM, "out of memory");
    h->loop = loop;
    h->fn = fn;
    h->ctx = ctx;
    h->due_ms = INT64_MAX;
    list_init(&h->callers);
    int rc = start_daemon(h, address, err);
    if (rc)
        http_free(h);
    else
        *out = h;
    return rc;
}

void http_free(struct http *h)
{
    if (!h)
        return;
    loop_io_remove(h->io);
    if (h->daemon) {
        http_remove_file(&h->file);
        MHD_stop_daemon(h->daemon); /* closes the socket, too */
    }
    mem_free(h);
}
