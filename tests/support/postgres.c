/* SPDX-License-Identifier: MIT */
/*
 * postgres: private PostgreSQL servers.
 *
 * initdb runs once per machine user and version: the result is kept as a template below the
 * temporary directory and copied. PostgreSQL refuses to run as root: then it runs as the user
 * postgres, else nobody. Its superuser is named jobq, trusted on the unix socket; there is no TCP.
 * Single thread.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <poll.h>
#include <unistd.h>

#include <libpq-fe.h>

#include "tests/support/internal.h"
#include "tests/support/support.h"

#define PORT 5432
#define READY_MS 60000
#define MAX_BACKENDS 128
/* Raised whenever what make_template() builds changes. */
#define TEMPLATE_VERSION 1

struct server {
    struct postgres postgres; /* first: what the test sees */
    bool durable;
    PGconn *admin;
};

static struct server *server_of(struct postgres *p)
{
    return (struct server *)(void *)p;
}

/* ---- where and as whom ---- */

static struct process_user server_user(void)
{
    /* Told to quit at once, it cleans up behind itself. */
    struct process_user user = {.death_signal = SIGQUIT};

    if (geteuid() != 0)
        return user;
    struct passwd *entry = getpwnam("postgres");
    if (entry == NULL)
        entry = getpwnam("nobody");
    if (entry == NULL)
        fail_test("PostgreSQL refuses root, and there is no user postgres or nobody");
    user.uid = entry->pw_uid;
    user.gid = entry->pw_gid;
    return user;
}

/* "/usr/lib/postgresql/17/bin" of the newest version there is; "" when it is to be found by
 * PATH. */
static const char *program_dir(void)
{
    static char dir[256];
    glob_t found;
    long newest = -1;

    if (dir[0] != '\0' || glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) != 0)
        return dir;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *path = found.gl_pathv[i];
        long version = strtol(path + strlen("/usr/lib/postgresql/"), NULL, 10);
        if (version > newest) {
            newest = version;
            snprintf(dir, sizeof(dir), "%.*s", (int)(strlen(path) - strlen("initdb")), path);
        }
    }
    globfree(&found);
    return dir;
}

static const char *program(const char *name)
{
    return fmt("%s%s", program_dir(), name);
}

/* ---- the template ---- */

static void must_run(const char *what, const char *input, const char *const *argv,
                     struct process_user user)
{
    char *out = NULL;

    if (run_command_as(&out, input, argv, user) != 0)
        fail_test("%s failed:\n%s", what, out);
    free(out);
}

static void make_template(const char *path, struct process_user user)
{
    char parent[256];

    /* What a run that was ended in its midst left is in nobody's way. */
    if (snprintf(parent, sizeof(parent), "%s.new.XXXXXX", path) >= (int)sizeof(parent) ||
        mkdtemp(parent) == NULL || (user.uid != 0 && chown(parent, user.uid, user.gid) != 0))
        fail_test("%s: %s", parent, strerror(errno));
    const char *initdb[] = {
        program("initdb"),  "--no-sync",       "--username=jobq", "--auth=trust", "--encoding=UTF8",
        "--locale=C.UTF-8", "--wal-segsize=1", "--pgdata",        parent,         NULL};
    const char *single[] = {program("postgres"), "--single", "-F", "-D", parent, "postgres", NULL};
    must_run("initdb", NULL, initdb, user);
    must_run("create database", "CREATE DATABASE test;\n", single, user);
    if (rename(parent, path) != 0)
        fail_test("rename %s: %s", parent, strerror(errno));
}

/* One process makes it, the others wait at the lock. */
static const char *template_dir(struct process_user user)
{
    const char *tmp = getenv("TMPDIR");
    char *version = NULL;
    const char *const ask[] = {program("postgres"), "--version", NULL};
    struct stat st;

    if (run_command(&version, NULL, ask) != 0)
        fail_test("no PostgreSQL server found: %s", version);
    char *digits = strpbrk(version, "0123456789");
    const char *path =
        fmt("%s/jobq-pg-template.%d.%u.%.*s", tmp != NULL && *tmp != '\0' ? tmp : "/var/tmp",
            TEMPLATE_VERSION, (unsigned)(user.uid != 0 ? user.uid : geteuid()),
            digits != NULL ? (int)strspn(digits, "0123456789.") : 0, digits != NULL ? digits : "");
    free(version);
    int lock = open(fmt("%s.lock", path), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0 || flock(lock, LOCK_EX) != 0)
        fail_test("%s.lock: %s", path, strerror(errno));
    if (lstat(path, &st) != 0)
        make_template(path, user);
    else if (st.st_uid != (user.uid != 0 ? user.uid : geteuid()))
        fail_test("%s belongs to somebody else", path);
    close(lock);
    return path;
}

/* ---- starting ---- */

static void disconnect(struct server *s)
{
    PQfinish(s->admin);
    s->admin = NULL;
}

static bool is_ready(void *ctx)
{
    struct server *s = ctx;

    if (!process_is_alive(s->postgres.process))
        return true; /* the caller looks */
    disconnect(s);
    s->admin = PQconnectdb(s->postgres.conninfo);
    return PQstatus(s->admin) == CONNECTION_OK;
}

static void ignore_notice(void *ctx, const char *message)
{
    (void)ctx;
    (void)message;
}

static void start(struct server *s)
{
    struct postgres *p = &s->postgres;
    const char *sync = s->durable ? "on" : "off";
    const char *argv[] = {program("postgres"),
                          "-D",
                          fmt("%s/data", p->dir),
                          "-k",
                          p->dir,
                          "-h",
                          "",
                          "-p",
                          fmt("%d", p->port),
                          "-c",
                          fmt("fsync=%s", sync),
                          "-c",
                          fmt("full_page_writes=%s", sync),
                          "-c",
                          "shared_buffers=32MB",
                          "-c",
                          "max_wal_size=256MB",
                          "-c",
                          "max_connections=100",
                          "-c",
                          "timezone=UTC",
                          "-c",
                          "jit=off",
                          NULL};

    p->process = process_start_as("postgres", argv, NULL, server_user());
    if (!wait_until(now_ms() + patience_ms(READY_MS), is_ready, s) ||
        !process_is_alive(p->process))
        fail_test("PostgreSQL does not start: %s", PQerrorMessage(s->admin));
    PQsetNoticeProcessor(s->admin, ignore_notice, NULL);
}

struct postgres *postgres_start(bool durable)
{
    struct server *s = server_alloc(sizeof(*s));
    struct postgres *p = &s->postgres;
    struct process_user user = server_user();
    const char *copy[] = {"cp", "-a", "--reflink=auto", template_dir(user), NULL, NULL};

    s->durable = durable;
    p->port = PORT;
    make_dir("pg", user, p->dir, sizeof(p->dir));
    check_socket_path(fmt("%s/.s.PGSQL.%d.lock", p->dir, PORT));
    snprintf(p->conninfo, sizeof(p->conninfo), "host=%s port=%d dbname=test user=jobq", p->dir,
             PORT);
    copy[4] = fmt("%s/data", p->dir);
    must_run("copy of the template", NULL, copy, user);
    start(s);
    return p;
}

/* ---- ending ---- */

/* Backends lead sessions of their own, so no group holds them: they are found by their parent. */
static size_t find_children(pid_t parent, int *pidfds, size_t max)
{
    DIR *d = opendir("/proc");
    struct dirent *entry;
    size_t n = 0;

    if (d == NULL)
        fail_test("/proc: %s", strerror(errno));
    while ((entry = readdir(d)) != NULL && n < max) {
        long pid = strtol(entry->d_name, NULL, 10);
        char *text = pid > 0 ? read_file(fmt("/proc/%ld/stat", pid)) : NULL;
        const char *end = text != NULL ? strrchr(text, ')') : NULL;
        if (end != NULL && strlen(end) > 4 && strtol(end + 4, NULL, 10) == parent) {
            int fd = pidfd_open((pid_t)pid, 0);
            if (fd >= 0)
                pidfds[n++] = fd;
        }
        free(text);
    }
    closedir(d);
    return n;
}

void postgres_kill(struct postgres *p)
{
    int pidfds[MAX_BACKENDS];

    disconnect(server_of(p));
    /* Stopped, it starts no more. */
    process_signal(p->process, SIGSTOP);
    size_t n = find_children(p->process->pid, pidfds, MAX_BACKENDS);
    for (size_t i = 0; i < n; i++)
        pidfd_send_signal(pidfds[i], SIGKILL, NULL, 0);
    process_kill_group(p->process);
    process_free(p->process);
    p->process = NULL;
    for (size_t i = 0; i < n; i++) {
        struct pollfd pfd = {.fd = pidfds[i], .events = POLLIN, .revents = 0};
        if (poll(&pfd, 1, (int)patience_ms(30000)) != 1)
            fail_test("a backend of PostgreSQL does not die");
        close(pidfds[i]);
    }
}

void postgres_stop_fast(struct postgres *p)
{
    disconnect(server_of(p));
    process_signal(p->process, SIGINT);
    process_wait(p->process, patience_ms(60000));
    process_free(p->process);
    p->process = NULL;
}

void postgres_restart(struct postgres *p)
{
    if (p->process != NULL)
        postgres_stop_fast(p);
    start(server_of(p));
}

void release_shared_memory(const char *data_dir)
{
    char *text = read_file(fmt("%s/postmaster.pid", data_dir));
    unsigned long key;
    int id;
    struct shmid_ds segment;
    const char *line = text;

    /* The seventh line: key and id. */
    for (int i = 1; i < 7 && line != NULL; i++) {
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    if (line != NULL && sscanf(line, "%lu %d", &key, &id) == 2 &&
        shmctl(id, IPC_STAT, &segment) == 0 && (unsigned long)segment.shm_perm.__key == key &&
        segment.shm_nattch == 0)
        shmctl(id, IPC_RMID, NULL);
    free(text);
}

void postgres_stop(struct postgres *p)
{
    if (p == NULL)
        return;
    disconnect(server_of(p));
    process_free(p->process);
    release_shared_memory(fmt("%s/data", p->dir));
    server_free(p);
}

/* ---- SQL ---- */

/* The result of the last statement. */
__attribute__((format(printf, 2, 0))) static PGresult *query(struct postgres *p, const char *format,
                                                              va_list args)
{
    struct server *s = server_of(p);
    char *sql = must_vprintf(format, args);

    if (s->admin != NULL && PQstatus(s->admin) != CONNECTION_OK)
        disconnect(s);
    if (s->admin == NULL) {
        s->admin = PQconnectdb(p->conninfo);
        PQsetNoticeProcessor(s->admin, ignore_notice, NULL);
    }
    PGresult *result = PQexec(s->admin, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_EMPTY_QUERY)
        fail_test("PostgreSQL: %s\nin: %s", PQerrorMessage(s->admin), sql);
    free(sql);
    return result;
}

void pg_do(struct postgres *p, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    PQclear(query(p, format, args));
    va_end(args);
}

static bool has_value(const PGresult *result)
{
    return PQntuples(result) > 0 && PQnfields(result) > 0 && !PQgetisnull(result, 0, 0);
}

long long pg_int(struct postgres *p, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    PGresult *result = query(p, format, args);
    va_end(args);
    long long value = has_value(result) ? strtoll(PQgetvalue(result, 0, 0), NULL, 10) : -1;
    PQclear(result);
    return value;
}

char *pg_str(struct postgres *p, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    PGresult *result = query(p, format, args);
    va_end(args);
    char *text = has_value(result) ? strdup(PQgetvalue(result, 0, 0)) : NULL;
    PQclear(result);
    return text;
}

void pg_load(struct postgres *p, const char *path)
{
    const char *argv[] = {program("psql"),     "-X", "-q", "-v",   "ON_ERROR_STOP=1", "-d",
                          p->conninfo, "-f", path, NULL};

    must_run(path, NULL, argv, (struct process_user){0});
}
