/* SPDX-License-Identifier: MIT */
/*
 * doctor_host: what doctor finds on this host: directories and the mail server; see doctor.h.
 *
 * As root it looks with the rights of the user jobq, if there is one, for the time of a call.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/jobctl/doctor.h"
#include "admin/jobctl/session.h"
#include "base/clock.h"
#include "base/text.h"

#define JOBD_USER "jobq"
#define GROUPS_MAX 64
#define SMTP_MS 5000

/* ---- as jobd's user ---- */

struct disguise {
    bool on;
    gid_t groups[GROUPS_MAX];
    int group_count;
    char name[64];
};

static void put_on(struct disguise *g)
{
    const struct passwd *user = geteuid() == 0 ? getpwnam(JOBD_USER) : NULL;
    *g = (struct disguise){0};
    snprintf(g->name, sizeof(g->name), "this user");
    if (user == NULL)
        return;
    uid_t uid = user->pw_uid;
    gid_t gid = user->pw_gid;
    g->group_count = getgroups(GROUPS_MAX, g->groups);
    if (g->group_count < 0 || initgroups(JOBD_USER, gid) != 0)
        return;
    if (setegid(gid) == 0 && seteuid(uid) == 0)
        g->on = true;
    snprintf(g->name, sizeof(g->name), "user " JOBD_USER);
}

static void take_off(const struct disguise *g)
{
    if (!g->on)
        return;
    ASSERT(seteuid(0) == 0 && setegid(0) == 0);
    ASSERT(setgroups((size_t)g->group_count, g->groups) == 0);
}

/* 0, or why a directory cannot be used: errno of the first of these that fails. */
static int try_directory(const char *path, int mode, char who[64])
{
    struct disguise g;
    struct stat st;
    int why = 0;
    put_on(&g);
    if (stat(path, &st) != 0)
        why = errno;
    else if (!S_ISDIR(st.st_mode))
        why = ENOTDIR;
    else if (faccessat(AT_FDCWD, path, mode, AT_EACCESS) != 0)
        why = errno;
    take_off(&g);
    snprintf(who, 64, "%s", g.name);
    return why;
}

static void judge_directory(struct doctor *d, const char *check, const char *path, int mode,
                            const char *mend)
{
    char found[PATH_MAX + 128], who[64];
    int why = try_directory(path, mode, who);
    if (why == 0)
        snprintf(found, sizeof(found), "%s, %s by %s", path, mode & W_OK ? "writable" : "readable",
                 who);
    else
        snprintf(found, sizeof(found), "%s: %s, for %s", path, strerror(why), who);
    doctor_judge(d, check, why == 0, found, mend);
}

static void check_media(struct session *s, struct doctor *d)
{
    static const char check[] = "media directory";
    const char *root = settings_text(s->settings, "forum.media_root");
    if (!settings_has_module(s->settings, "avatar"))
        doctor_add(d, check, DOCTOR_SKIPPED, "module avatar is not configured", NULL);
    else if (root == NULL)
        doctor_add(d, check, DOCTOR_FAULT, "forum.media_root is not set",
                   "name the forum's directory of media files there");
    else
        judge_directory(d, check, root, R_OK | W_OK | X_OK,
                        "let jobd's user write there (its group, and ReadWritePaths= of the unit), "
                        "or mend forum.media_root");
}

/* Templates that were changed are beside those that came along. */
static void check_templates(struct session *s, struct doctor *d)
{
    static const char check[] = "mail templates";
    const char *own = settings_text(s->settings, "mail.templates");
    char found[PATH_MAX + 64], who[64];
    if (!settings_has_module(s->settings, "mail")) {
        doctor_add(d, check, DOCTOR_SKIPPED, "module mail is not configured", NULL);
        return;
    }
    int why = try_directory(own, R_OK | X_OK, who);
    if (why == ENOENT) {
        snprintf(found, sizeof(found), "those that came along: there is no %s", own);
        doctor_add(d, check, DOCTOR_OK, found, NULL);
        return;
    }
    judge_directory(
        d, check, own, R_OK | X_OK,
        "let jobd's user read it, or remove it: without it those that came along count");
}

static void check_state(struct session *s, struct doctor *d)
{
    judge_directory(d, "state directory", settings_text(s->settings, "state_dir"),
                    R_OK | W_OK | X_OK,
                    "make it, owned by jobd's user (systemd-tmpfiles --create jobq.conf), or mend "
                    "state_dir");
}

/* ---- SMTP ---- */

struct server {
    bool tls; /* from its first byte: no greeting to be read */
    char host[256], port[8];
};

static bool parse_server(const char *url, struct server *out)
{
    const char *at = NULL;
    *out = (struct server){0};
    if (strncmp(url, "smtp://", 7) == 0)
        at = url + 7;
    else if (strncmp(url, "smtps://", 8) == 0)
        at = url + 8;
    if (at == NULL)
        return false;
    out->tls = url[4] == 's';
    bool bracket = *at == '[';
    size_t len = bracket ? strcspn(at + 1, "]") : strcspn(at, ":/");
    const char *rest = at + len + (bracket ? 2 : 0);
    if (len == 0 || len >= sizeof(out->host) || (bracket && at[len + 1] != ']'))
        return false;
    memcpy(out->host, at + bracket, len);
    snprintf(out->port, sizeof(out->port), "%s", out->tls ? "465" : "25");
    if (*rest == ':')
        snprintf(out->port, sizeof(out->port), "%.*s", (int)MIN(strcspn(rest + 1, "/"), 6u),
                 rest + 1);
    return true;
}

static bool wait_for(int fd, short events, int64_t until_ms)
{
    struct pollfd pfd = {.fd = fd, .events = events};
    int64_t left = until_ms - clock_mono_ms();
    return left > 0 && poll(&pfd, 1, (int)left) == 1;
}

/* A connected socket, or -1 with errno. */
static int connect_one(const struct addrinfo *a, int64_t until_ms)
{
    int failed = 0;
    socklen_t size = sizeof(failed);
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
        failed = errno;
        if (failed == EINPROGRESS) {
            failed = ETIMEDOUT;
            if (wait_for(fd, POLLOUT, until_ms))
                (void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size);
        }
    }
    if (failed == 0)
        return fd;
    close(fd);
    errno = failed;
    return -1;
}

static int connect_any(const struct server *to, int64_t until_ms, char *why, size_t size)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    int fd = -1;
    int rc = getaddrinfo(to->host, to->port, &hints, &list);
    if (rc != 0) {
        snprintf(why, size, "%s", gai_strerror(rc));
        return -1;
    }
    for (const struct addrinfo *a = list; a != NULL && fd < 0; a = a->ai_next)
        fd = connect_one(a, until_ms);
    if (fd < 0)
        snprintf(why, size, "%s", strerror(errno));
    freeaddrinfo(list);
    return fd;
}

/* The first line a mail server says; false: none came. */
static bool read_greeting(int fd, int64_t until_ms, char *line, size_t size)
{
    size_t n = 0;
    while (n + 1 < size && wait_for(fd, POLLIN, until_ms)) {
        ssize_t got = read(fd, line + n, size - 1 - n);
        if (got <= 0)
            break;
        n += (size_t)got;
        line[n] = '\0';
        if (memchr(line, '\n', n) != NULL)
            return true;
    }
    return false;
}

static void check_smtp(struct session *s, struct doctor *d)
{
    static const char check[] = "smtp reachable";
    static const char mend[] = "start the mail server, or mend mail.url";
    const char *url = settings_text(s->settings, "mail.url");
    char why[128] = "", line[256] = "", shown[128], found[700];
    struct server to;
    if (!settings_has_module(s->settings, "mail")) {
        doctor_add(d, check, DOCTOR_SKIPPED, "module mail is not configured", NULL);
        return;
    }
    if (url == NULL || !parse_server(url, &to)) {
        doctor_add(d, check, DOCTOR_FAULT,
                   url == NULL ? "mail.url is not set" : "mail.url is no URL",
                   "set mail.url: smtp://host[:port] or smtps://host[:port]");
        return;
    }
    int64_t until_ms = clock_mono_ms() + SMTP_MS;
    int fd = connect_any(&to, until_ms, why, sizeof(why));
    bool greeted = fd >= 0 && !to.tls && read_greeting(fd, until_ms, line, sizeof(line));
    if (fd >= 0)
        close(fd);
    text_sanitize(line, strcspn(line, "\r\n"), shown, sizeof(shown));
    if (fd < 0)
        snprintf(found, sizeof(found), "%s port %s: %s", to.host, to.port, why);
    else if (to.tls)
        snprintf(found, sizeof(found), "%s port %s takes connections; TLS was not tried", to.host,
                 to.port);
    else if (!greeted)
        snprintf(found, sizeof(found), "%s port %s says nothing", to.host, to.port);
    else
        snprintf(found, sizeof(found), "%s port %s: %s", to.host, to.port, shown);
    doctor_judge(d, check, fd >= 0 && (to.tls || strncmp(line, "220", 3) == 0), found, mend);
}

void doctor_host(struct session *s, struct doctor *d)
{
    static const char *const all[] = {"state directory", "media directory", "mail templates",
                                      "smtp reachable"};
    if (!settings_has_modules(s->settings)) {
        doctor_skip(d, all, ARRAY_LEN(all), "no modules are configured: no jobd's configuration");
        return;
    }
    check_state(s, d);
    check_media(s, d);
    check_templates(s, d);
    check_smtp(s, d);
}
