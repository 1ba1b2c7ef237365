/* SPDX-License-Identifier: MIT */
/* media: see media.h. */
#include "worker/handlers/avatar/media.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <jobq/handler.h>

#include "worker/handlers/common/crash.h"
#include "worker/handlers/common/text.h"

#define DIRECTORY_MODE 0755 /* both less the umask */
#define FILE_MODE 0644
#define DIRECTORY_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static int fail(struct media_fault *fault, int number, const char *doing, const char *name)
{
    switch (number) {
    case ENOENT:
        fault->kind = MEDIA_MISSING;
        break;
    case ELOOP:   /* a link */
    case EXDEV:   /* outside */
    case ENOTDIR: /* a link, or a file, where a directory should be */
    case EISDIR:
    case EINVAL:
    case ENAMETOOLONG:
    case EFBIG:
        fault->kind = MEDIA_BAD;
        break;
    default:
        fault->kind = MEDIA_FAILED;
        break;
    }
    fault->number = number;
    text_format(fault->text, sizeof(fault->text), "%s %s: %s", doing, name, strerror(number));
    return -1;
}

static int refuse(struct media_fault *fault, const char *name, const char *why)
{
    fault->kind = MEDIA_BAD;
    fault->number = EINVAL;
    text_format(fault->text, sizeof(fault->text), "%s: %s", name, why);
    return -1;
}

int media_verdict(const struct media_fault *fault)
{
    if (fault->kind != MEDIA_FAILED) {
        return JOBQ_DEAD;
    }
    switch (fault->number) {
    case ENOSPC:
    case EDQUOT:
    case EROFS:
    case EACCES:
    case EPERM:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ESTALE:
        return JOBQ_SNOOZE;
    default:
        return JOBQ_RETRY;
    }
}

int media_open_one(int directory, const char *component, int flags, unsigned mode)
{
    struct open_how how = {
        .flags = (unsigned)(flags | O_NOFOLLOW | O_CLOEXEC),
        .mode = mode,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, directory, component, &how, sizeof(how));

    if (fd < 0 && (errno == ENOSYS || errno == EPERM)) {
        /* Linux before 5.6, or a filter that knows no openat2: the same for one component, since
           it is neither "..", nor has it a slash. */
        fd = openat(directory, component, flags | O_NOFOLLOW | O_CLOEXEC, mode);
    }
    return (int)fd;
}

/* ---- names ---- */

/* Takes the next component off *rest. False at the end, or at one that is refused (then *bad). */
static bool next_component(const char **rest, char *out, bool *bad)
{
    size_t len = strcspn(*rest, "/");

    if (**rest == '\0') {
        return false;
    }
    memcpy(out, *rest, len);
    out[len] = '\0';
    *bad = len == 0 || strcmp(out, ".") == 0 || strcmp(out, "..") == 0 ||
           ((*rest)[len] == '/' && (*rest)[len + 1] == '\0');
    *rest += len + ((*rest)[len] == '/');
    return !*bad;
}

static int check_name(const char *name, struct media_fault *fault)
{
    char component[MEDIA_NAME_MAX + 1];
    const char *rest = name;
    bool bad = name[0] == '\0';

    if (strlen(name) > MEDIA_NAME_MAX) {
        return refuse(fault, "a name", "is longer than 255 bytes");
    }
    while (!bad && next_component(&rest, component, &bad)) {
    }
    return bad ? refuse(fault, name, "is no plain name below the media root") : 0;
}

/* The directory that a file is in, and the file's own name in it. */
static int open_parent(const struct media *m, const char *name, int *directory, const char **file,
                       struct media_fault *fault)
{
    char parent[MEDIA_NAME_MAX + 1];
    const char *slash;

    if (check_name(name, fault) < 0) {
        return -1;
    }
    slash = strrchr(name, '/');
    *file = slash ? slash + 1 : name;
    if (!slash) {
        *directory = fcntl(m->root, F_DUPFD_CLOEXEC, 3);
        return *directory < 0 ? fail(fault, errno, "open", "the media root") : 0;
    }
    text_format(parent, sizeof(parent), "%.*s", (int)(slash - name), name);
    return media_directory(m, parent, false, directory, fault);
}

/* ---- directories ---- */

int media_open(const char *root, struct media *out, struct media_fault *fault)
{
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        fail(fault, errno, "forum.media_root", root);
        fault->kind = MEDIA_FAILED; /* never a job's fault, also when it is missing */
        if (fault->number == ENOENT || fault->number == ENOTDIR) {
            fault->number = ESTALE; /* not mounted */
        }
        return -1;
    }
    out->root = fd;
    return 0;
}

void media_close(struct media *m)
{
    close(m->root);
}

/* Opens a component of a directory. create: makes it when it is missing, and syncs its parent, so
   that it is there after a power cut; also when another process had just made it. */
static int open_directory(int parent, const char *component, bool create)
{
    int fd;

    if (create) {
        if (mkdirat(parent, component, DIRECTORY_MODE) < 0 && errno != EEXIST) {
            return -1;
        }
        if (fsync(parent) < 0) {
            return -1;
        }
    }
    fd = media_open_one(parent, component, DIRECTORY_FLAGS, 0);
    return fd;
}

int media_directory(const struct media *m, const char *name, bool create, int *out,
                    struct media_fault *fault)
{
    char component[MEDIA_NAME_MAX + 1];
    const char *rest = name;
    bool bad = false;
    int at = m->root;

    if (check_name(name, fault) < 0) {
        return -1;
    }
    while (next_component(&rest, component, &bad)) {
        int next = open_directory(at, component, create);
        int number = errno;
        if (at != m->root) {
            close(at);
        }
        if (next < 0) {
            return fail(fault, number, create ? "make directory" : "open directory", name);
        }
        at = next;
    }
    *out = at;
    return 0;
}

void media_remove_directory(const struct media *m, const char *name)
{
    struct media_fault ignored;
    const char *own;
    int parent;

    if (open_parent(m, name, &parent, &own, &ignored) == 0) {
        (void)unlinkat(parent, own, AT_REMOVEDIR);
        close(parent);
    }
}

/* ---- reading ---- */

/* size: of the file when it was opened; one more byte is asked for, to see it grow. */
static int read_all(int fd, size_t size, uint8_t *bytes, size_t *len)
{
    *len = 0;
    while (*len <= size) {
        ssize_t n = read(fd, bytes + *len, size + 1 - *len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return (int)n;
        }
        *len += (size_t)n;
    }
    errno = EFBIG;
    return -1;
}

static int read_file(int fd, const char *name, size_t max, uint8_t **bytes, size_t *len,
                     struct media_fault *fault)
{
    char why[64];
    struct stat st;

    if (fstat(fd, &st) < 0) {
        return fail(fault, errno, "stat", name);
    }
    if (!S_ISREG(st.st_mode)) {
        return refuse(fault, name, "is no regular file");
    }
    if ((uint64_t)st.st_size > max) {
        text_format(why, sizeof(why), "has %lld bytes, at most %zu are taken",
                    (long long)st.st_size, max);
        return refuse(fault, name, why);
    }
    *bytes = malloc((size_t)st.st_size + 1);
    if (!*bytes) {
        return fail(fault, ENOMEM, "read", name);
    }
    if (read_all(fd, (size_t)st.st_size, *bytes, len) < 0) {
        int number = errno;
        free(*bytes);
        *bytes = NULL;
        return number == EFBIG ? refuse(fault, name, "grew while it was read")
                               : fail(fault, number, "read", name);
    }
    return 0;
}

int media_read(const struct media *m, const char *name, size_t max, uint8_t **bytes, size_t *len,
               struct media_fault *fault)
{
    const char *file;
    int directory;
    int fd;
    int rc;

    if (open_parent(m, name, &directory, &file, fault) < 0) {
        return -1;
    }
    fd = media_open_one(directory, file, O_RDONLY | O_NONBLOCK, 0); /* no waiting for a FIFO */
    rc = fd < 0 ? fail(fault, errno, "open", name) : 0;
    close(directory);
    if (rc == 0) {
        rc = read_file(fd, name, max, bytes, len, fault);
        close(fd);
    }
    return rc;
}

static bool look(const struct media *m, const char *name, struct stat *st)
{
    struct media_fault ignored;
    const char *file;
    int directory;
    bool is_file;

    if (open_parent(m, name, &directory, &file, &ignored) < 0) {
        return false;
    }
    is_file = fstatat(directory, file, st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st->st_mode);
    close(directory);
    return is_file;
}

bool media_exists(const struct media *m, const char *name)
{
    struct stat st;

    return look(m, name, &st);
}

bool media_has(const struct media *m, const char *name, size_t len)
{
    struct stat st;

    return look(m, name, &st) && (uint64_t)st.st_size == len;
}

/* ---- writing ---- */

static int write_all(int fd, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -1;
        }
        bytes += n;
        len -= (size_t)n;
    }
    return fsync(fd);
}

/* A name that no other run uses at this moment. */
static int open_temporary(int directory, const char *file, char *name, size_t size)
{
    uint64_t number;

    if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number)) {
        return -1;
    }
    text_format(name, size, ".%s.%016llx.tmp", file, (unsigned long long)number);
    return media_open_one(directory, name, O_WRONLY | O_CREAT | O_EXCL, FILE_MODE);
}

int media_put(int directory, const char *file, const uint8_t *bytes, size_t len,
              struct media_fault *fault)
{
    char temporary[NAME_MAX + 1];
    int fd = open_temporary(directory, file, temporary, sizeof(temporary));
    int number;
    int rc;

    if (fd < 0) {
        return fail(fault, errno, "create a file for", file);
    }
    rc = write_all(fd, bytes, len);
    number = errno;
    if (close(fd) < 0 && rc == 0) {
        rc = -1;
        number = errno;
    }
    HANDLER_CRASH_POINT("avatar.written");
    if (rc == 0) {
        rc = renameat(directory, temporary, directory, file);
        number = errno;
    }
    if (rc < 0) {
        (void)unlinkat(directory, temporary, 0);
        fail(fault, number, "write", file);
        if (fault->kind == MEDIA_BAD && number == EFBIG) {
            fault->kind = MEDIA_FAILED; /* a limit of this process or of the file system */
        }
    }
    return rc;
}

int media_sync(int directory, struct media_fault *fault)
{
    return fsync(directory) < 0 ? fail(fault, errno, "sync", "a directory") : 0;
}

int media_remove(const struct media *m, const char *name, struct media_fault *fault)
{
    const char *file;
    int directory;
    int rc = 0;

    if (open_parent(m, name, &directory, &file, fault) < 0) {
        return fault->kind == MEDIA_MISSING ? 0 : -1;
    }
    if (unlinkat(directory, file, 0) < 0 && errno != ENOENT) {
        rc = fail(fault, errno, "remove", name);
    }
    close(directory);
    return rc;
}
