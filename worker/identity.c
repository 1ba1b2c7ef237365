/* SPDX-License-Identifier: MIT */
#include "worker/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"

#define LINE_SIZE 512
#define WORD_SIZE 64

struct identity {
    int fd;
    char machine[WORD_SIZE];
    char boot[WORD_SIZE];
    char host[WORD_SIZE];
};

/* First word of a small file; "none" when it cannot be read. */
static void read_word(const char *path, char *out, size_t size)
{
    snprintf(out, size, "none");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    char text[LINE_SIZE];
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n <= 0)
        return;
    text[n] = '\0';
    text[strcspn(text, " \t\r\n")] = '\0';
    if (text[0])
        snprintf(out, size, "%.*s", (int)size - 1, text);
}

/* A host name as part of an incarnation: letters, digits, dots; at most 24. */
static void read_host(char *out, size_t size)
{
    char name[256] = "";
    size_t n = 0;
    if (gethostname(name, sizeof(name) - 1))
        name[0] = '\0';
    for (const char *p = name; *p && n < 24 && n + 1 < size; p++) {
        char c = *p;
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        out[n++] = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ? c : '.';
    }
    out[n] = '\0';
    if (!n)
        snprintf(out, size, "host");
}

static void read_predecessor(struct identity *id, char *out, size_t size)
{
    char line[LINE_SIZE], machine[WORD_SIZE], boot[WORD_SIZE], name[128];
    out[0] = '\0';
    ssize_t n = pread(id->fd, line, sizeof(line) - 1, 0);
    if (n <= 0)
        return;
    line[n] = '\0';
    if (sscanf(line, "%63s %63s %127s", machine, boot, name) == 3 &&
        strcmp(machine, id->machine) == 0 && strcmp(boot, id->boot) == 0)
        snprintf(out, size, "%s", name);
}

int identity_open(const char *state_dir, const char *instance, struct identity **out,
                  char *predecessor, size_t size, jobq_err *err)
{
    char path[4096];
    int rc = JOBQ_ECONFIG;
    struct identity *id = mem_zalloc(1, sizeof(*id));
    if (!id)
        return error_set(err, JOBQ_ENOMEM, "out of memory");
    id->fd = -1;
    read_word("/etc/machine-id", id->machine, sizeof(id->machine));
    read_word("/proc/sys/kernel/random/boot_id", id->boot, sizeof(id->boot));
    read_host(id->host, sizeof(id->host));
    if (mkdir(state_dir, 0750) && errno != EEXIST) {
        error_set(err, rc, "state_dir %s: %s; make it, or name another with --state-dir", state_dir,
                  strerror(errno));
        goto out;
    }
    if (snprintf(path, sizeof(path), "%s/%s.state", state_dir, instance) >= (int)sizeof(path)) {
        error_set(err, rc, "state_dir: the path is too long");
        goto out;
    }
    id->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (id->fd < 0) {
        error_set(err, rc, "%s: %s; jobd must be able to write in state_dir", path,
                  strerror(errno));
        goto out;
    }
    if (flock(id->fd, LOCK_EX | LOCK_NB)) {
        error_set(err, rc,
                  "%s is locked: a jobd of instance \"%s\" runs already; stop it, or give this one "
                  "another --instance",
                  path, instance);
        goto out;
    }
    read_predecessor(id, predecessor, size);
    *out = id;
    rc = JOBQ_OK;
out:
    if (rc)
        identity_close(id);
    return rc;
}

int identity_new_name(struct identity *id, char *name, size_t size, jobq_err *err)
{
    uint64_t bits;
    char line[LINE_SIZE];
    if (id_random(&bits, sizeof(bits)))
        return error_set(err, JOBQ_EINTERNAL, "the kernel gives no random bytes");
    snprintf(name, size, "%s-%.8s-%d-%016llx", id->host, id->boot, (int)getpid(),
             (unsigned long long)bits);
    int n = snprintf(line, sizeof(line), "%s %s %s\n", id->machine, id->boot, name);
    if (pwrite(id->fd, line, (size_t)n, 0) != n || ftruncate(id->fd, n) || fdatasync(id->fd))
        return error_set(err, JOBQ_ESTATE, "state file: %s", strerror(errno));
    return JOBQ_OK;
}

void identity_forget(struct identity *id)
{
    /* If it fails, our successor declares a name dead that is gone already: harmless. */
    if (ftruncate(id->fd, 0) == 0)
        (void)fdatasync(id->fd);
}

void identity_close(struct identity *id)
{
    if (!id)
        return;
    if (id->fd >= 0)
        close(id->fd);
    mem_free(id);
}
