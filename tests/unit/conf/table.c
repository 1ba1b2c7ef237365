/* SPDX-License-Identifier: MIT */
/*
 * table: see table.h.
 */
#include "tests/unit/conf/table.h"

#include <string.h>
#include <sys/stat.h>

#include <criterion/criterion.h>

#include "tests/support/support.h"

static const struct conf_option fields[] = {
    {.name = "name", .type = CONF_STRING, .applies = CONF_START, .help = "Name."},
    {.name = "weight", .type = CONF_INT, .fallback = "1", .applies = CONF_LIVE, .min = 1, .max = 1000, .help = "Weight."},
    {.name = "limit", .type = CONF_MS, .applies = CONF_START, .min = 1, .max = 60000, .help = "Limit."},
    {.name = NULL},
};

const struct conf_option conf_test_table[] = {
    {.name = "redis", .type = CONF_STRING, .fallback = "redis://localhost/0", .applies = CONF_START,
     .foreign_env = "CACHE_URL BROKER_URL", .help = "Redis."},
    {.name = "executors", .type = CONF_INT, .applies = CONF_LIVE, .min = 1, .max = 1024, .help = "Executors."},
    {.name = "big", .type = CONF_INT, .fallback = "0", .applies = CONF_LIVE, .min = 0, .max = 0, .help = "No limit."},
    {.name = "lease", .type = CONF_MS, .fallback = "5s", .applies = CONF_START, .min = 100, .max = 3600000,
     .help = "Lease."},
    {.name = "max_payload", .type = CONF_BYTES, .fallback = "256KiB", .applies = CONF_LIVE, .min = 1, .max = 16777216,
     .help = "Payload."},
    {.name = "fast", .type = CONF_BOOL, .fallback = "false", .applies = CONF_LIVE, .foreign_env = "FAST", .help = "Fast."},
    {.name = "order", .type = CONF_CHOICE, .fallback = "weighted", .applies = CONF_LIVE, .choices = "weighted strict",
     .help = "Order."},
    {.name = "mail.url", .type = CONF_STRING, .applies = CONF_START, .help = "Mail server."},
    {.name = "mail.password", .type = CONF_SECRET, .applies = CONF_START, .foreign_env = "EMAIL_PASSWORD",
     .help = "Mail password."},
    {.name = "modules", .type = CONF_STRINGS, .applies = CONF_START, .help = "Modules."},
    {.name = "queues", .type = CONF_GROUPS, .applies = CONF_START, .fields = fields, .help = "Queues."},
    {.name = "types", .type = CONF_GROUPS, .applies = CONF_LIVE, .fields = fields, .help = "Types."},
    {.name = NULL},
};

struct conf *new_set(void)
{
    struct conf *c = NULL;
    jobq_err err = {0};
    cr_assert_eq(conf_new(conf_test_table, &c, &err), JOBQ_OK, "%s", err.msg);
    return c;
}

const char *file_with(const char *name, const char *text, mode_t mode)
{
    const char *path = fmt("%s/%s", tmp_dir(), name);
    write_file(path, text);
    cr_assert_eq(chmod(path, mode), 0);
    return path;
}

const char *without_directory(const char *message)
{
    const char *dir = fmt("%s/", tmp_dir());
    char out[sizeof(((jobq_err *)0)->msg)] = "";
    size_t n = 0;
    while (*message && n < sizeof(out) - 1) {
        if (strncmp(message, dir, strlen(dir)) == 0)
            message += strlen(dir);
        else
            out[n++] = *message++;
    }
    return fmt("%s", out);
}

void expect_file(const char *text, int code, const char *message)
{
    struct conf *c = new_set();
    jobq_err err = {0};
    int got = conf_load_file(c, file_with("x.conf", text, 0600), &err);
    cr_assert_eq(got, code, "%s: %d %s", text, got, err.msg);
    cr_assert_str_eq(without_directory(err.msg), message, "%s: %s", text, err.msg);
    cr_assert(code == JOBQ_OK || err.code == code);
    conf_free(c);
}
