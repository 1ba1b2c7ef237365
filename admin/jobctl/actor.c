/* SPDX-License-Identifier: MIT */
/* actor: see actor.h. */
#include "admin/jobctl/actor.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin/jobctl/command.h"
#include "admin/jobctl/session.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/text.h"
#include "broker/url.h"

#define COMMAND_MAX ((size_t)1 << 20)

/* ---- who ---- */

static void put_name(uid_t uid, char *out, size_t out_size)
{
    char room[4096];
    struct passwd entry, *found = NULL;
    if (getpwuid_r(uid, &entry, room, sizeof(room), &found) == 0 && found != NULL)
        text_sanitize(found->pw_name, strlen(found->pw_name), out, out_size);
    else
        snprintf(out, out_size, "%lu", (unsigned long)uid);
}

/* As whom this session logged in, which su and sudo do not change; false: the kernel does not
 * say. */
static bool read_login(uid_t *out)
{
    char text[24] = "";
    int64_t uid = -1;
    int fd = open("/proc/self/loginuid", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (n <= 0 || text_parse_int(text, &uid) != JOBQ_OK || uid < 0 || uid >= UINT32_MAX)
        return false;
    *out = (uid_t)uid;
    return true;
}

static void put_by(char *out, size_t out_size)
{
    char name[96], login[96], raw[65] = "", host[65];
    uid_t uid = getuid(), login_uid = uid;
    if (gethostname(raw, sizeof(raw) - 1) != 0 || raw[0] == '\0')
        snprintf(raw, sizeof(raw), "unknown");
    text_sanitize(raw, strlen(raw), host, sizeof(host));
    put_name(uid, name, sizeof(name));
    if (read_login(&login_uid) && login_uid != uid) {
        put_name(login_uid, login, sizeof(login));
        snprintf(out, out_size, "%s as %s@%s", login, name, host);
    } else {
        snprintf(out, out_size, "%s@%s", name, host);
    }
}

/* ---- what ---- */

static bool tells_what(const struct command_flag *f)
{
    static const char *const how[] = {"dry-run", "yes", "note"};
    for (size_t i = 0; i < ARRAY_LEN(how); i++) {
        if (strcmp(f->name, how[i]) == 0)
            return false;
    }
    return true;
}

static const struct command_flag *own_flag(const struct command *c, const char *name)
{
    for (const struct command_flag *f = c->flags; f != NULL && f->name != NULL; f++) {
        if (strcmp(f->name, name) == 0)
            return f;
    }
    return NULL;
}

void actor_command(const struct args *a, struct buf *out)
{
    buf_append_str(out, a->command->words);
    for (size_t i = 0; i < a->operand_count; i++) {
        buf_append_char(out, ' ');
        text_append_quoted(out, a->operands[i], strlen(a->operands[i]));
    }
    for (size_t i = 0; i < a->flag_count; i++) {
        const struct command_flag *f = own_flag(a->command, a->flags[i].name);
        const char *value = a->flags[i].value;
        if (f == NULL || !tells_what(f))
            continue;
        buf_appendf(out, " --%s", f->name);
        if (value == NULL)
            continue;
        buf_append_char(out, ' ');
        if (f->kind == VALUE_PAYLOAD)
            buf_append_str(out, "…");
        else
            text_append_quoted(out, value, strlen(value));
    }
}

/* ---- all of it ---- */

int actor_read(const struct args *a, struct actor *out, jobq_err *err)
{
    const char *note = args_value(a, "note");
    size_t len = note != NULL ? strlen(note) : 0;
    if (len > ACTOR_NOTE_MAX)
        return error_set(err, JOBQ_EINVAL, "--note: %zu bytes are too many, at most %d", len,
                         ACTOR_NOTE_MAX);
    if (note != NULL && !text_is_utf8(note, len, NULL))
        return error_set(err, JOBQ_EINVAL, "--note: not UTF-8");
    snprintf(out->note, sizeof(out->note), "%s", note != NULL ? note : "");
    return JOBQ_OK;
}

int actor_begin(struct session *s, const struct args *a, const struct inspect *in,
                struct actor *out, jobq_err *err)
{
    struct buf command;
    const char *user = settings_redis(s->settings)->user;
    buf_init(&command, COMMAND_MAX);
    actor_command(a, &command);
    if (command.failed) {
        buf_done(&command);
        return error_set(err, JOBQ_ENOMEM, "no memory for the command line");
    }
    text_sanitize(command.data, command.len, out->command, sizeof(out->command));
    buf_done(&command);
    user = user != NULL ? user : "default";
    text_sanitize(user, strlen(user), out->user, sizeof(out->user));
    put_by(out->by, sizeof(out->by));
    out->act = (struct control_act){
        .by = out->by, .user = out->user, .command = out->command, .note = out->note};
    return control_begin(in, &out->act, err);
}
