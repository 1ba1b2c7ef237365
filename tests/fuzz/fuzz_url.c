/* SPDX-License-Identifier: MIT */
/*
 * fuzz_url: any text is a Redis URL or is refused with a message; neither message nor the shown
 * form holds a password.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "broker/url.h"

#define SECRET "S3cr3tZ"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const char *a, const char *b)
{
    ASSERT((a == NULL) == (b == NULL));
    ASSERT(a == NULL || strcmp(a, b) == 0);
}

static void check_parsed(const struct redis_url *u)
{
    struct redis_url copy;

    ASSERT((u->host == NULL) != (u->path == NULL));
    ASSERT(u->host == NULL || (u->host[0] != '\0' && u->port >= 1 && u->port <= 65535));
    ASSERT(u->path == NULL || (u->path[0] == '/' && strlen(u->path) < 108));
    ASSERT(u->db >= 0);
    ASSERT(u->user == NULL || u->password != NULL);
    ASSERT(memchr(u->shown, '\0', sizeof(u->shown)) != NULL && u->shown[0] != '\0');
    for (const char *c = u->shown; *c != '\0'; c++)
        ASSERT((unsigned char)*c >= 0x20);
    if (url_copy(u, &copy, NULL) != JOBQ_OK)
        abort();
    check_same(u->host, copy.host);
    check_same(u->path, copy.path);
    check_same(u->user, copy.user);
    check_same(u->password, copy.password);
    url_done(&copy);
}

static void parse(const char *text)
{
    struct redis_url u;
    jobq_err err = {0};
    int code = url_parse(text, &u, &err);

    ASSERT(strstr(err.msg, SECRET) == NULL);
    if (code == JOBQ_OK) {
        ASSERT(strstr(u.shown, SECRET) == NULL);
        check_parsed(&u);
        url_done(&u);
    } else {
        ASSERT(code == JOBQ_EINVAL && err.code == code && err.msg[0] != '\0');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* The marked password stands nowhere else. */
    if (memmem(data, size, SECRET, strlen(SECRET)) != NULL)
        return 0;
    static const char *const before[] = {"",
                                         "redis://",
                                         "unix://",
                                         "redis://:" SECRET,
                                         "redis://bob:" SECRET "@",
                                         "unix://:" SECRET,
                                         "rediss://:" SECRET,
                                         SECRET};
    for (size_t i = 0; i < ARRAY_LEN(before); i++) {
        size_t len = strlen(before[i]);
        char *text = malloc(len + size + 1);
        if (text == NULL)
            abort();
        memcpy(text, before[i], len);
        if (size > 0)
            memcpy(text + len, data, size);
        text[len + size] = '\0';
        parse(text);
        free(text);
    }
    return 0;
}
