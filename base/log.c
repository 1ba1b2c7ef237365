/* SPDX-License-Identifier: MIT */
/*
 * log: builds a line in static memory and offers it to the descriptor once, without waiting.
 *
 * Pipes and terminals are opened anew through /proc, because O_NONBLOCK on the descriptor itself
 * would change it for everybody who shares it. Where that is refused, poll() is asked first; a line
 * is never longer than what a pipe that is ready takes in one piece.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"

#define BURST 20         /* lines of one event in a window */
#define WINDOW_MS 1000
#define EVENTS 64        /* events watched for bursts at the same time */
#define EVENT_NAME_MAX 64
#define MIN_CUT 16       /* a value shorter than this is not cut further, but left out */
#define RESERVED 16      /* kept free for the mark of a cut line and its end */

_Static_assert(LOG_LINE_MAX <= PIPE_BUF, "a line must be written in one piece");

enum how { HOW_WRITE, HOW_POLL, HOW_SOCKET };

struct burst {
    char event[EVENT_NAME_MAX]; /* empty: free */
    enum log_level level;
    int64_t since_ms;
    uint32_t count;
    uint64_t suppressed;
};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static struct {
    char program[32];
    int fd;     /* borrowed */
    int own_fd; /* fd opened anew, or -1 */
    enum how how;
    enum log_level level;
    enum log_format format;
    uint64_t dropped;  /* in all */
    uint64_t untold;   /* of them not yet in the log */
    struct burst bursts[EVENTS];
} state = {
    .program = "jobq", .fd = STDERR_FILENO, .own_fd = -1, .how = HOW_POLL, .level = LOG_INFO};

static char line_bytes[LOG_LINE_MAX + 1];

static void choose_way(int fd)
{
    struct stat info;
    char path[32];
    if (state.own_fd >= 0)
        close(state.own_fd);
    state.own_fd = -1;
    state.fd = fd;
    state.how = HOW_WRITE;
    if (fstat(fd, &info) != 0 || S_ISREG(info.st_mode))
        return;
    if (S_ISSOCK(info.st_mode)) {
        state.how = HOW_SOCKET;
        return;
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    state.own_fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (state.own_fd < 0)
        state.how = HOW_POLL;
}

void log_setup(const char *program, int fd, enum log_level level, enum log_format format)
{
    struct sigaction action;
    if (sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN);
    text_sanitize(program, strlen(program), state.program, sizeof(state.program));
    choose_way(fd);
    state.level = level;
    state.format = format;
}

bool log_is_enabled(enum log_level level)
{
    return level >= state.level;
}

uint64_t log_dropped(void)
{
    return state.dropped;
}

bool log_parse_level(const char *text, enum log_level *out)
{
    for (size_t i = 0; text && i < ARRAY_LEN(level_names); i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

/* True when the descriptor took the whole line at once. */
static bool offer(const char *bytes, size_t len)
{
    int fd = state.own_fd >= 0 ? state.own_fd : state.fd;
    ssize_t n = -1;
    if (state.how == HOW_POLL) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        if (poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT))
            return false;
    }
    do {
        if (state.how == HOW_SOCKET)
            n = send(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        else
            n = write(fd, bytes, len);
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)len;
}

static void append_text(struct buf *line, const char *bytes, size_t len)
{
    if (state.format == LOG_JSON)
        text_append_json(line, bytes, len);
    else
        text_append_quoted(line, bytes, len);
}

static void append_key(struct buf *line, const char *key)
{
    if (state.format == LOG_JSON) {
        buf_append_char(line, ',');
        text_append_json(line, key, strlen(key));
        buf_append_char(line, ':');
    } else {
        buf_append_char(line, ' ');
        buf_append_str(line, key);
        buf_append_char(line, '=');
    }
}

/* Appends one field, its text cut to max bytes. False, and the line as before, when it does not
 * fit. */
static bool try_field(struct buf *line, const struct log_field *f, size_t max)
{
    size_t before = line->len;
    append_key(line, f->key);
    if (f->kind == LOG_KIND_INT)
        buf_appendf(line, "%lld", (long long)f->number);
    else
        append_text(line, f->text, max);
    if (!line->failed && line->len <= LOG_LINE_MAX - RESERVED)
        return true;
    line->failed = false;
    line->len = before;
    line->data[before] = '\0';
    return false;
}

/* False when the field had to be cut or left out. */
static bool append_field(struct buf *line, const struct log_field *f)
{
    if (f->kind == LOG_KIND_INT)
        return try_field(line, f, 0);
    if (!f->text)
        return true;
    size_t len = f->kind == LOG_KIND_BYTES ? (size_t)f->number : strlen(f->text);
    if (len <= LOG_LINE_MAX && try_field(line, f, len))
        return true;
    for (size_t max = MIN(len, (size_t)LOG_LINE_MAX) / 2; max >= MIN_CUT; max /= 2) {
        if (try_field(line, f, text_cut(f->text, len, max)))
            break;
    }
    return false;
}

static void begin_line(struct buf *line, enum log_level level, const char *event)
{
    char now[32];
    text_format_time(clock_wall_ms(), now, sizeof(now));
    if (state.format == LOG_JSON) {
        buf_appendf(line, "{\"ts\":\"%s\",\"level\":\"%s\",\"program\":", now, level_names[level]);
        text_append_json(line, state.program, strlen(state.program));
        buf_append_str(line, ",\"event\":");
        text_append_json(line, event, strlen(event));
    } else {
        buf_appendf(line, "%s %s %s ", now, level_names[level], state.program);
        text_append_quoted(line, event, strlen(event));
    }
}

static bool write_line(enum log_level level, const char *event, const struct log_field *fields)
{
    /* With the ceiling already allocated, the buf never asks for memory. */
    struct buf line = {.data = line_bytes, .cap = sizeof(line_bytes), .max = LOG_LINE_MAX};
    bool whole = true;
    begin_line(&line, level, event);
    for (const struct log_field *f = fields; f->kind != LOG_KIND_END; f++)
        whole = append_field(&line, f) && whole;
    if (!whole)
        buf_append_str(&line, state.format == LOG_JSON ? ",\"cut\":1" : " cut=1");
    buf_append_str(&line, state.format == LOG_JSON ? "}\n" : "\n");
    return !line.failed && offer(line.data, line.len);
}

/* Tells of lines dropped before, as soon as the descriptor takes lines again. */
static void tell_dropped(void)
{
    if (state.untold == 0)
        return;
    const struct log_field fields[] = {LOG_INT("count", state.untold), LOG_END};
    if (write_line(LOG_WARN, "log.dropped", fields))
        state.untold = 0;
}

static void write_or_drop(enum log_level level, const char *event, const struct log_field *fields)
{
    tell_dropped();
    if (state.untold > 0 || !write_line(level, event, fields)) {
        state.dropped++;
        state.untold++;
    }
}

static void end_window(struct burst *b)
{
    if (b->suppressed > 0) {
        const struct log_field fields[] = {LOG_INT("suppressed", b->suppressed), LOG_END};
        write_or_drop(b->level, b->event, fields);
    }
    b->event[0] = '\0';
}

static void end_windows(int64_t now_ms)
{
    for (size_t i = 0; i < EVENTS; i++) {
        struct burst *b = &state.bursts[i];
        if (b->event[0] && now_ms - b->since_ms >= WINDOW_MS)
            end_window(b);
    }
}

/* The event's window, a fresh one if it has none; NULL when all are taken or its name is too
 * long. */
static struct burst *find_burst(enum log_level level, const char *event, int64_t now_ms)
{
    struct burst *unused = NULL;
    size_t len = strlen(event);
    if (len == 0 || len >= EVENT_NAME_MAX)
        return NULL;
    for (size_t i = 0; i < EVENTS; i++) {
        struct burst *b = &state.bursts[i];
        if (!b->event[0])
            unused = unused ? unused : b;
        else if (strcmp(b->event, event) == 0)
            return b;
    }
    if (unused) {
        *unused = (struct burst){.level = level, .since_ms = now_ms};
        memcpy(unused->event, event, len + 1);
    }
    return unused;
}

void log_write(enum log_level level, const char *event, const struct log_field *fields)
{
    if (!log_is_enabled(level))
        return;
    int64_t now_ms = clock_mono_ms();
    end_windows(now_ms);
    if (level >= LOG_WARN) {
        struct burst *b = find_burst(level, event, now_ms);
        if (b && b->count >= BURST) {
            b->suppressed++;
            b->level = MAX(b->level, level);
            return;
        }
        if (b)
            b->count++;
    }
    write_or_drop(level, event, fields);
}

void log_tick(void)
{
    end_windows(clock_mono_ms());
    tell_dropped();
}
