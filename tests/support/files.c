/* SPDX-License-Identifier: MIT */
/*
 * files: the private directory of a test, and small help with paths, texts and time.
 *
 * A directory is named by the pid of its test, so that what a killed test left behind is found and
 * removed by the next test. Single thread.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/internal.h"
#include "tests/support/support.h"

#define PREFIX "jobq-test."

static char private_dir[128];
static pid_t private_dir_owner;

/* ---- time and waiting ---- */

/*
 * Monotonic, with an origin so far back that no time of it can be taken for a time allowance:
 * wait_until() is lenient with callers who pass the latter.
 */
#define ORIGIN_MS 1000000000000
#define LONGEST_WAIT_MS 86400000

int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ORIGIN_MS + (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

bool wait_until(int64_t deadline_ms, bool (*condition)(void *ctx), void *ctx)
{
    long pause_ms = 2;

    if (deadline_ms < LONGEST_WAIT_MS)
        deadline_ms += now_ms();
    while (!condition(ctx)) {
        if (now_ms() >= deadline_ms)
            return false;
        struct timespec ts = {.tv_sec = 0, .tv_nsec = pause_ms * 1000000};
        nanosleep(&ts, NULL);
        pause_ms = pause_ms < 25 ? pause_ms * 2 : 50;
    }
    return true;
}

uint64_t test_seed(uint64_t usual)
{
    const char *wanted = getenv("JOBQ_TEST_SEED");

    if (wanted == NULL)
        return usual;
    fprintf(stderr, "JOBQ_TEST_SEED=%s\n", wanted);
    return strtoull(wanted, NULL, 10);
}

/* ---- memory and texts ---- */

void *must_alloc(size_t size)
{
    void *p = calloc(1, size);

    if (p == NULL) {
        fputs("out of memory in a test\n", stderr);
        abort();
    }
    return p;
}

/* What a test forgets to stop is not a leak: the end of the test stops it. */
static void *servers[256];

void *server_alloc(size_t size)
{
    for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++) {
        if (servers[i] == NULL)
            return servers[i] = must_alloc(size);
    }
    fail_test("too many servers in one test");
}

void server_free(void *server)
{
    for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++) {
        if (servers[i] == server)
            servers[i] = NULL;
    }
    free(server);
}

char *must_vprintf(const char *format, va_list args)
{
    char *text = NULL;

    if (vasprintf(&text, format, args) < 0) {
        fputs("out of memory in a test\n", stderr);
        abort();
    }
    return text;
}

/* Texts are kept: one that ended while a test still waits would end the sooner the longer it
 * waits. */
struct kept {
    struct kept *next;
    char text[];
};

const char *fmt(const char *format, ...)
{
    static struct kept *all; /* so that nobody takes them for lost */
    va_list args;

    va_start(args, format);
    char *text = must_vprintf(format, args);
    va_end(args);
    size_t size = strlen(text) + 1;
    struct kept *kept = malloc(sizeof(*kept) + size);
    if (kept == NULL)
        fail_test("no memory");
    memcpy(kept->text, text, size);
    free(text);
    kept->next = all;
    all = kept;
    return kept->text;
}

/* ---- directories ---- */

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    remove(path);
    return 0;
}

static void remove_tree(const char *path)
{
    glob_t found;
    char *pattern = NULL;

    if (asprintf(&pattern, "%s/pg*/data", path) < 0)
        return;
    if (glob(pattern, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++)
            release_shared_memory(found.gl_pathv[i]);
    }
    globfree(&found);
    free(pattern);
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static const char *parent_dir(void)
{
    const char *dir = getenv("TMPDIR");

    /* /tmp is often small and in memory; a PostgreSQL is not. */
    return dir != NULL && *dir != '\0' ? dir : "/var/tmp";
}

/* Directories of tests that were killed: their pid is no more. */
static void remove_left_behind(void)
{
    DIR *d = opendir(parent_dir());
    struct dirent *entry;

    if (d == NULL)
        return;
    while ((entry = readdir(d)) != NULL) {
        char *end;
        struct stat st;

        if (strncmp(entry->d_name, PREFIX, sizeof(PREFIX) - 1) != 0)
            continue;
        long pid = strtol(entry->d_name + sizeof(PREFIX) - 1, &end, 10);
        if (pid <= 1 || *end != '.' || kill((pid_t)pid, 0) == 0 || errno != ESRCH)
            continue;
        char *path = NULL;
        if (asprintf(&path, "%s/%s", parent_dir(), entry->d_name) < 0)
            continue;
        if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid())
            remove_tree(path);
        free(path);
    }
    closedir(d);
}

const char *tmp_dir(void)
{
    /* A forked child of a test shares its parent's directory, but does not remove it. */
    if (private_dir[0] != '\0')
        return private_dir;
    remove_left_behind();
    int n = snprintf(private_dir, sizeof(private_dir), "%s/" PREFIX "%d.XXXXXX", parent_dir(),
                     (int)getpid());
    if (n < 0 || (size_t)n >= sizeof(private_dir) || mkdtemp(private_dir) == NULL) {
        private_dir[0] = '\0';
        fail_test("cannot make a directory below %s: %s", parent_dir(), strerror(errno));
    }
    /* Servers of other users have theirs in here. */
    if (chmod(private_dir, 0755) != 0)
        fail_test("chmod %s: %s", private_dir, strerror(errno));
    private_dir_owner = getpid();
    return private_dir;
}

bool tmp_dir_is_made(void)
{
    return private_dir[0] != '\0' && private_dir_owner == getpid();
}

void tmp_dir_remove(void)
{
    if (!tmp_dir_is_made())
        return;
    if (getenv("JOBQ_TEST_KEEP") == NULL)
        remove_tree(private_dir);
    private_dir[0] = '\0';
}

__attribute__((destructor)) static void remove_at_exit(void)
{
    tmp_dir_remove();
}

void make_dir(const char *name, struct process_user user, char *out, size_t out_size)
{
    static int count;
    int n = snprintf(out, out_size, "%s/%s%d", tmp_dir(), name, ++count);

    if (n < 0 || (size_t)n >= out_size)
        fail_test("path too long: %s/%s", tmp_dir(), name);
    if (mkdir(out, 0700) != 0)
        fail_test("mkdir %s: %s", out, strerror(errno));
    if (user.uid != 0 && chown(out, user.uid, user.gid) != 0)
        fail_test("chown %s: %s", out, strerror(errno));
}

void check_socket_path(const char *path)
{
    struct sockaddr_un address;

    if (strlen(path) >= sizeof(address.sun_path))
        fail_test("%s is too long for a socket; set TMPDIR to a shorter path", path);
}

/* ---- files ---- */

void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");

    if (f == NULL)
        fail_test("%s: %s", path, strerror(errno));
    size_t length = strlen(text);
    if (fwrite(text, 1, length, f) != length || fclose(f) != 0)
        fail_test("%s: cannot write", path);
}

char *read_file(const char *path)
{
    FILE *f = fopen(path, "re");
    char *text = NULL;
    size_t length = 0;

    if (f == NULL)
        return NULL;
    for (;;) {
        text = realloc(text, length + 65537);
        if (text == NULL)
            abort();
        size_t n = fread(text + length, 1, 65536, f);
        length += n;
        if (n == 0)
            break;
    }
    text[length] = '\0';
    fclose(f);
    return text;
}

static const char *below(const char *variable, const char *name)
{
    const char *dir = getenv(variable);

    if (dir == NULL)
        fail_test("%s is not set; run the tests by ctest", variable);
    return fmt("%s/%s", dir, name);
}

const char *bin_path(const char *name)
{
    return below("JOBQ_TEST_BIN", name);
}

const char *lib_path(const char *name)
{
    return below("JOBQ_TEST_LIB", name);
}

const char *source_path(const char *name)
{
    return below("JOBQ_TEST_SOURCE", name);
}
