/* SPDX-License-Identifier: MIT */
/*
 * fuzz_conf: any bytes as jobd's configuration file, as its environment file, and as a URL or
 * conninfo string to be shown. Whatever happens: a value or one message, never more, and a password
 * is not shown.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/conf.h"
#include "config/config_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
    if (!holds)
        abort();
}

/* A regular file without a name, and a path to it. */
static int file_of(const uint8_t *data, size_t size, char path[static 64])
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    must(fd >= 0 && fchmod(fd, 0600) == 0);
    must(size == 0 || write(fd, data, size) == (ssize_t)size);
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

static void check_outcome(struct conf *c, int code, const jobq_err *err)
{
    must(code == JOBQ_OK ||
         (code == JOBQ_ECONFIG && err->code == code && err->msg[0] && !strchr(err->msg, '\n')));
    for (const struct conf_option *o = config_table(); o->name; o++) {
        must(conf_show(c, o->name) != NULL && conf_source(c, o->name) != NULL);
        if (o->type == CONF_SECRET && conf_is_set(c, o->name))
            must(strcmp(conf_show(c, o->name), "***") == 0);
    }
}

static void load(const uint8_t *data, size_t size,
                 int (*function)(struct conf *, const char *, jobq_err *))
{
    struct conf *c = NULL;
    char path[64];
    jobq_err err = {0};
    int fd = file_of(data, size, path);
    must(conf_new(config_table(), &c, NULL) == JOBQ_OK);
    int code = function(c, path, &err);
    check_outcome(c, code, &err);
    close(fd);
    conf_free(c);
}

/* The bytes as the password of a conninfo string, quoted as libpq wants it, and as the tail of a
 * URL's password. */
static void show(const uint8_t *data, size_t size)
{
    char secret[512];
    size_t n = 0;
    for (size_t i = 0; i < size && n + 3 < sizeof(secret); i++) {
        if (data[i] < 0x20 || data[i] == 0x7F)
            continue;
        if (data[i] == '\'' || data[i] == '\\')
            secret[n++] = '\\';
        secret[n++] = (char)data[i];
    }
    secret[n] = '\0';
    for (size_t i = 0; i < 2; i++) {
        struct conf *c = NULL;
        char text[640];
        int len = i == 0
                      ? snprintf(text, sizeof(text), "host=h password='hunter2%s' user=u", secret)
                      : snprintf(text, sizeof(text), "postgresql://u:hunter2%s@h/d", secret);
        must(len > 0 && (size_t)len < sizeof(text));
        must(conf_new(config_table(), &c, NULL) == JOBQ_OK);
        must(conf_set_flag(c, "postgres", text, NULL) == JOBQ_OK);
        must(strstr(conf_show(c, "postgres"), "hunter2") == NULL);
        conf_free(c);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    load(data, size, conf_load_file);
    load(data, size, conf_load_env_file);
    show(data, size);
    return 0;
}
