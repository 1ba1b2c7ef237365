/* SPDX-License-Identifier: MIT */
/*
 * conf_text: one text out of a configuration file and those it includes, and the way back from a
 * line of it.
 *
 * libconfig could include by itself, but it would open anything (a FIFO, a device), at any size,
 * name included files differently from version to version, and not say what their permissions are.
 * Besides, version 1.5 silently cuts whole numbers to 32 bits unless they end in L: so that is
 * appended here to long ones.
 *
 * Only what libconfig's scanner needs is understood: strings, comments, names, numbers.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/conf_impl.h"
#include "base/error.h"
#include "base/mem.h"

#define FILES_MAX 64
#define DEPTH_MAX 8
#define TEXT_MAX (4 * CONF_FILE_MAX)

struct conf_text_file {
    char *path;
    mode_t mode;
};

struct conf_text_piece {
    size_t text_line; /* counted from 1 */
    size_t file;
    size_t file_line;
};

/* One file being copied into the text. */
struct source {
    struct conf_text *t;
    size_t file;
    const char *p;
    const char *end;
    size_t line;
    int depth;
    bool line_start; /* only white space so far */
};

static int take_file(struct conf_text *t, const char *path, const struct source *includer,
                     jobq_err *err);

const char *conf_short_path(const char *path, char out[static 96])
{
    size_t len = strlen(path);
    const char *tail = len < 96 ? path : path + len - 90;
    while (((unsigned char)*tail & 0xC0) == 0x80)
        tail++;
    snprintf(out, 96, "%s%s", tail == path ? "" : "…", tail);
    return out;
}

/* ---- bytes ---- */

static int read_fd(int fd, size_t size, char **out, size_t *len, jobq_err *err)
{
    size_t n = 0;
    ssize_t got = 1;
    char *data = mem_alloc(size + 1);
    if (!data)
        return conf_no_memory(err);
    while (n < size && got != 0) {
        got = read(fd, data + n, size - n);
        if (got < 0 && errno != EINTR)
            break;
        n += got > 0 ? (size_t)got : 0;
    }
    data[n] = '\0';
    if (got >= 0 && strlen(data) == n) {
        *out = data;
        *len = n;
        return JOBQ_OK;
    }
    error_set(err, JOBQ_ECONFIG, "%s", got < 0 ? strerror(errno) : "a NUL byte inside");
    mem_wipe_free(data, size);
    return JOBQ_ECONFIG;
}

int conf_read_file(const char *path, size_t max, char **out, size_t *len, mode_t *mode,
                   jobq_err *err)
{
    char shown[96];
    struct stat st;
    int code = JOBQ_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) != 0)
        code = error_set(err, JOBQ_ECONFIG, "%s", strerror(errno));
    else if (!S_ISREG(st.st_mode))
        code = error_set(err, JOBQ_ECONFIG, "not a regular file");
    else if (st.st_size > (off_t)max)
        code = error_set(err, JOBQ_ECONFIG, "more than %zu KiB", max / 1024);
    else
        code = read_fd(fd, (size_t)st.st_size, out, len, err);
    if (code == JOBQ_ECONFIG)
        error_prefix(err, "cannot read %s", conf_short_path(path, shown));
    if (code == JOBQ_OK && mode)
        *mode = st.st_mode;
    if (fd >= 0)
        close(fd);
    return code;
}

/* ---- files and lines ---- */

static int add_file(struct conf_text *t, const char *path, mode_t mode, jobq_err *err)
{
    if (t->file_count == FILES_MAX)
        return error_set(err, JOBQ_ECONFIG, "more than %d files are included", FILES_MAX);
    struct conf_text_file *files = mem_realloc(t->files, (t->file_count + 1) * sizeof(*files));
    if (!files)
        return conf_no_memory(err);
    t->files = files;
    files[t->file_count] = (struct conf_text_file){mem_strdup(path), mode};
    if (!files[t->file_count].path)
        return conf_no_memory(err);
    t->file_count++;
    return JOBQ_OK;
}

/* From the text's present line on, its lines are those of the file from file_line on. */
static int add_piece(struct conf_text *t, size_t file, size_t file_line, jobq_err *err)
{
    struct conf_text_piece *pieces = mem_realloc(t->pieces, (t->piece_count + 1) * sizeof(*pieces));
    if (!pieces)
        return conf_no_memory(err);
    t->pieces = pieces;
    pieces[t->piece_count++] = (struct conf_text_piece){t->lines, file, file_line};
    return JOBQ_OK;
}

void conf_text_locate(const struct conf_text *t, size_t line, const char **path, size_t *path_line,
                      mode_t *mode)
{
    size_t i = t->piece_count;
    ASSERT(i > 0);
    while (i > 1 && t->pieces[i - 1].text_line > line)
        i--;
    const struct conf_text_piece *piece = &t->pieces[i - 1];
    *path = t->files[piece->file].path;
    *path_line =
        line < piece->text_line ? piece->file_line : piece->file_line + (line - piece->text_line);
    *mode = t->files[piece->file].mode;
}

void conf_text_done(struct conf_text *t)
{
    if (t->text.data)
        explicit_bzero(t->text.data, t->text.cap);
    buf_done(&t->text);
    for (size_t i = 0; i < t->file_count; i++)
        mem_free(t->files[i].path);
    mem_free(t->files);
    mem_free(t->pieces);
    *t = (struct conf_text){0};
}

/* ---- scanning ---- */

static int complain(const struct source *s, jobq_err *err, const char *what)
{
    char shown[96];
    return error_set(err, JOBQ_ECONFIG, "%s:%zu: %s",
                     conf_short_path(s->t->files[s->file].path, shown), s->line, what);
}

static void copy(struct source *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (s->p[i] == '\n') {
            s->line++;
            s->t->lines++;
        }
    }
    buf_append(&s->t->text, s->p, n);
    s->p += n;
}

/* Copies up to and including the first occurrence of ending; false: it does not occur. */
static bool copy_through(struct source *s, size_t from, const char *ending)
{
    const char *found = strstr(s->p + from, ending);
    if (found)
        copy(s, (size_t)(found - s->p) + strlen(ending));
    return found != NULL;
}

static size_t measure_string(const char *p)
{
    size_t n = 1;
    while (p[n] && p[n] != '"')
        n += p[n] == '\\' && (p[n + 1] == '"' || p[n + 1] == '\\') ? 2 : 1;
    return p[n] ? n + 1 : 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '*';
}

/* A whole number: its digits are s->p[skip …]. */
static int copy_number(struct source *s, jobq_err *err)
{
    const char *p = s->p;
    bool hex = p[0] == '0' && (p[1] | 0x20) == 'x';
    size_t digits = hex ? strspn(p + 2, "0123456789abcdefABCDEF") : strspn(p, "0123456789");
    size_t n = hex ? 2 + digits : digits;
    if (digits > (hex ? 15 : 18))
        return complain(s, err, "a number that is too big");
    copy(s, n);
    bool whole = hex || !*s->p || !strchr(".eE", *s->p);
    if (whole && digits > (hex ? 7 : 9) && *s->p != 'L')
        buf_append_char(&s->t->text, 'L');
    copy(s, strspn(s->p, "L"));
    return JOBQ_OK;
}

static void copy_name(struct source *s)
{
    size_t n = 1;
    while (is_letter(s->p[n]) || is_digit(s->p[n]) || s->p[n] == '-' || s->p[n] == '_')
        n++;
    copy(s, n);
}

/* The path named at s->p, right after the opening quote, taken beside the including file; NULL: no
 * memory. */
static char *resolve(const struct source *s, size_t len)
{
    const char *from = s->t->files[s->file].path;
    const char *slash = strrchr(from, '/');
    size_t dir = *s->p == '/' || !slash ? 0 : (size_t)(slash - from) + 1;
    char *path = mem_alloc(dir + len + 1);
    if (!path)
        return NULL;
    size_t n = dir;
    memcpy(path, from, dir);
    for (size_t i = 0; i < len; i++) {
        if (s->p[i] == '\\' && i + 1 < len)
            i++;
        path[n++] = s->p[i];
    }
    path[n] = '\0';
    return path;
}

static int include(struct source *s, jobq_err *err)
{
    static const char word[] = "@include";
    size_t n = sizeof(word) - 1;
    size_t space = strncmp(s->p, word, n) == 0 ? strspn(s->p + n, " \t") : 0;
    size_t quoted = space && s->p[n + space] == '"' ? measure_string(s->p + n + space) : 0;
    if (!quoted || !s->line_start)
        return complain(s, err, "'@' only begins a line of the form @include \"FILE\"");
    s->p += n + space + 1;
    char *path = resolve(s, quoted - 2);
    if (!path)
        return conf_no_memory(err);
    int code = s->depth == DEPTH_MAX ? complain(s, err, "files include each other too deep")
                                     : take_file(s->t, path, s, err);
    mem_free(path);
    s->p += quoted - 1;
    return code != JOBQ_OK ? code : add_piece(s->t, s->file, s->line, err);
}

/* One token, or one character that begins none. */
static int copy_token(struct source *s, jobq_err *err)
{
    const char *p = s->p;
    if (*p == '@')
        return include(s, err);
    if (*p == ' ' || *p == '\t') {
        copy(s, 1);
        return JOBQ_OK;
    }
    s->line_start = *p == '\n';
    if (*p == '#' || (p[0] == '/' && p[1] == '/')) {
        copy(s, strcspn(p, "\n"));
    } else if (p[0] == '/' && p[1] == '*') {
        if (!copy_through(s, 2, "*/"))
            return complain(s, err, "a comment without an end");
    } else if (*p == '"') {
        size_t n = measure_string(p);
        if (!n)
            return complain(s, err, "a string without an end");
        copy(s, n);
    } else if (is_letter(*p)) {
        copy_name(s);
    } else if (is_digit(*p)) {
        return copy_number(s, err);
    } else {
        copy(s, 1);
    }
    return JOBQ_OK;
}

static int copy_file(struct source *s, jobq_err *err)
{
    int code = add_piece(s->t, s->file, 1, err);
    while (code == JOBQ_OK && s->p < s->end) {
        code = copy_token(s, err);
        if (code == JOBQ_OK && s->t->text.failed)
            code = s->t->text.len > TEXT_MAX / 2 ? complain(s, err, "too much is included")
                                                 : conf_no_memory(err);
    }
    if (code == JOBQ_OK && s->depth > 0 && !s->line_start) {
        buf_append_char(&s->t->text, '\n');
        s->t->lines++;
    }
    return code;
}

/* includer is NULL for the file that was asked for. */
static int take_file(struct conf_text *t, const char *path, const struct source *includer,
                     jobq_err *err)
{
    char *bytes = NULL;
    char shown[96];
    size_t len = 0;
    mode_t mode = 0;
    int code = conf_read_file(path, CONF_FILE_MAX, &bytes, &len, &mode, err);
    if (code != JOBQ_OK && includer)
        error_prefix(err, "%s:%zu", conf_short_path(t->files[includer->file].path, shown),
                     includer->line);
    if (code != JOBQ_OK)
        return code;
    code = add_file(t, path, mode, err);
    if (code == JOBQ_OK) {
        int depth = includer ? includer->depth + 1 : 0;
        struct source s = {t, t->file_count - 1, bytes, bytes + len, 1, depth, true};
        code = copy_file(&s, err);
    }
    mem_wipe_free(bytes, len);
    return code;
}

int conf_text_read(struct conf_text *t, const char *path, jobq_err *err)
{
    *t = (struct conf_text){.lines = 1};
    buf_init(&t->text, TEXT_MAX);
    int code = take_file(t, path, NULL, err);
    if (code != JOBQ_OK)
        return code;
    buf_append(&t->text, "", 0);
    return t->text.data ? JOBQ_OK : conf_no_memory(err);
}
