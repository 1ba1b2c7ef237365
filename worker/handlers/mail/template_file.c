/* SPDX-License-Identifier: MIT */
/* template_file: see template_file.h. */
#include "worker/handlers/mail/template_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000LL
#define FRESH_NS (2 * NS_PER_S)

/* ---- reading ---- */

static bool is_same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mode == b->st_mode && is_same_time(a->st_mtim, b->st_mtim) &&
           is_same_time(a->st_ctim, b->st_ctim);
}

static bool is_fresh(const struct stat *st)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_REALTIME, &now);
    return (now.tv_sec - st->st_ctim.tv_sec) * NS_PER_S + now.tv_nsec - st->st_ctim.tv_nsec <
           FRESH_NS;
}

/* What the operator can mend by touching the file, against what passes. */
static bool refuse(struct mail_fault *why, const char *path, int error)
{
    bool is_passing = error == EMFILE || error == ENFILE || error == ENOMEM || error == EIO ||
                      error == ESTALE || error == EINTR || error == EAGAIN || error == ENOENT;

    return mail_fault_set(why, is_passing ? MAIL_FAULT_SYSTEM : MAIL_FAULT_TEMPLATE, "%s: %s", path,
                          strerror(error));
}

/* As many bytes as there are, at most size; -1 and errno when it failed. */
static ssize_t read_all(int fd, char *data, size_t size)
{
    size_t len = 0;

    while (len < size) {
        ssize_t n = read(fd, data + len, size - len);

        if (n < 0 && errno != EINTR) {
            return -1;
        }
        if (n == 0) {
            break;
        }
        len += n > 0 ? (size_t)n : 0;
    }
    return (ssize_t)len;
}

/* Reads an open file that was st before; false when it is another now. */
static bool read_steady(int fd, const char *path, const struct stat *st, char *data, size_t size,
                        struct mail_fault *why)
{
    struct stat after;
    ssize_t n = read_all(fd, data, size);

    if (n < 0 || fstat(fd, &after) != 0) {
        return refuse(why, path, errno);
    }
    if (n != (ssize_t)size || !is_same(st, &after)) {
        return mail_fault_set(why, MAIL_FAULT_SYSTEM, "%s: is being written just now", path);
    }
    return true;
}

static bool load(struct template_file *file, int fd, const char *const *names)
{
    struct mail_fault *why = &file->broken;
    size_t size = (size_t)file->seen.st_size;
    char *data;
    bool is_loaded;

    if (!S_ISREG(file->seen.st_mode)) {
        return mail_fault_set(why, MAIL_FAULT_TEMPLATE, "%s: not a regular file", file->path);
    }
    if (file->seen.st_size > TEMPLATE_SOURCE_MAX) {
        return mail_fault_set(why, MAIL_FAULT_TEMPLATE, "%s: longer than %u bytes", file->path,
                              TEMPLATE_SOURCE_MAX);
    }
    data = malloc(size + 1);
    if (!data) {
        return mail_fault_set(why, MAIL_FAULT_SYSTEM, "%s: no memory to read it", file->path);
    }
    is_loaded = read_steady(fd, file->path, &file->seen, data, size, why) &&
                template_parse(file->path, data, size, names, &file->parsed, why);
    free(data);
    return is_loaded;
}

/* ---- the cache ---- */

static void copy_fault(struct mail_fault *why, const struct mail_fault *from)
{
    if (why) {
        *why = *from;
    }
}

static void drop(struct template_file *file)
{
    free(file->path);
    template_free(file->parsed);
    *file = (struct template_file){0};
}

static struct template_file *lookup(struct template_cache *cache, const char *path)
{
    for (size_t i = 0; i < TEMPLATE_FILES_MAX; i++) {
        struct template_file *file = &cache->files[i];

        if (file->path && strcmp(file->path, path) == 0) {
            return file;
        }
    }
    return NULL;
}

/* An empty place. */
static struct template_file *make_room(struct template_cache *cache)
{
    struct template_file *oldest = &cache->files[0];

    for (size_t i = 0; i < TEMPLATE_FILES_MAX; i++) {
        struct template_file *file = &cache->files[i];

        if (!file->path) {
            return file;
        }
        if (file->used < oldest->used) {
            oldest = file;
        }
    }
    drop(oldest);
    return oldest;
}

/* Opens, reads and keeps the file, or why it cannot be used. NULL: nothing is kept. */
static struct template_file *add(struct template_cache *cache, const char *path,
                                 const char *const *names, struct mail_fault *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct template_file *file = NULL;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0) {
        refuse(why, path, errno);
        goto out;
    }
    file = make_room(cache);
    file->path = strdup(path);
    if (!file->path) {
        refuse(why, path, ENOMEM);
        file = NULL;
        goto out;
    }
    file->seen = st;
    file->look_again = is_fresh(&st);
    if (!load(file, fd, names) && file->broken.kind == MAIL_FAULT_SYSTEM) {
        copy_fault(why, &file->broken);
        drop(file);
        file = NULL;
    }
out:
    if (fd >= 0) {
        close(fd);
    }
    return file;
}

enum template_found template_file_get(struct template_cache *cache, const char *path,
                                      const char *const *names, const struct template **out,
                                      struct mail_fault *why)
{
    struct template_file *file = lookup(cache, path);
    struct stat st;
    int error = stat(path, &st) == 0 ? 0 : errno;

    if (file && (error != 0 || file->look_again || !is_same(&st, &file->seen))) {
        drop(file);
        file = NULL;
    }
    if (error == ENOENT || error == ENOTDIR) {
        return TEMPLATE_ABSENT;
    }
    if (error != 0) {
        refuse(why, path, error);
        return TEMPLATE_FAULT;
    }
    if (!file) {
        file = add(cache, path, names, why);
    }
    if (!file) {
        return TEMPLATE_FAULT;
    }
    file->used = ++cache->uses;
    if (!file->parsed) {
        copy_fault(why, &file->broken);
        return TEMPLATE_FAULT;
    }
    *out = file->parsed;
    return TEMPLATE_FOUND;
}

void template_cache_done(struct template_cache *cache)
{
    for (size_t i = 0; i < TEMPLATE_FILES_MAX; i++) {
        drop(&cache->files[i]);
    }
}
