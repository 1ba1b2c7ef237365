/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "base/mem.h"
#include "broker/url.h"

static void expect_text(const char *is, const char *want, const char *url, const char *part)
{
    if (want == NULL)
        cr_expect_null(is, "%s: %s is %s", url, part, is);
    else
        cr_expect(is != NULL && strcmp(is, want) == 0, "%s: %s is %s", url, part, is);
}

Test(url, reads_every_form)
{
    static const struct {
        const char *url, *host, *path, *user, *password;
        int port, db;
        const char *shown;
    } cases[] = {
        {"redis://h", "h", NULL, NULL, NULL, 6379, 0, "h:6379/0"},
        {"redis://h/", "h", NULL, NULL, NULL, 6379, 0, "h:6379/0"},
        {"redis://redis.example:7000/3", "redis.example", NULL, NULL, NULL, 7000, 3,
         "redis.example:7000/3"},
        {"REDIS://127.0.0.1:1", "127.0.0.1", NULL, NULL, NULL, 1, 0, "127.0.0.1:1/0"},
        {"redis://:pw@h:65535/15", "h", NULL, NULL, "pw", 65535, 15, "h:65535/15"},
        {"redis://bob:p%40w%2F%3a%25@h", "h", NULL, "bob", "p@w/:%", 6379, 0, "h:6379/0"},
        {"redis://bob:a@b:c@h", "h", NULL, "bob", "a@b:c", 6379, 0, "h:6379/0"},
        {"redis://[::1]:7/2", "::1", NULL, NULL, NULL, 7, 2, "[::1]:7/2"},
        {"redis://[fe80::1%25eth0]", "fe80::1%eth0", NULL, NULL, NULL, 6379, 0,
         "[fe80::1%eth0]:6379/0"},
        {"redis://u:p@[::1]", "::1", NULL, "u", "p", 6379, 0, "[::1]:6379/0"},
        {"unix:///run/redis.sock", NULL, "/run/redis.sock", NULL, NULL, 0, 0, "/run/redis.sock/0"},
        {"unix:///run/a%20b?db=4", NULL, "/run/a b", NULL, NULL, 0, 4, "/run/a b/4"},
        {"unix://u:p@/run/r", NULL, "/run/r", "u", "p", 0, 0, "/run/r/0"},
        {"unix:///run/%0a%1b", NULL, "/run/\n\033", NULL, NULL, 0, 0, "/run/\?\?/0"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct redis_url u;
        jobq_err err = {0};
        cr_assert_eq(url_parse(cases[i].url, &u, &err), JOBQ_OK, "%s: %s", cases[i].url, err.msg);
        expect_text(u.host, cases[i].host, cases[i].url, "host");
        expect_text(u.path, cases[i].path, cases[i].url, "path");
        expect_text(u.user, cases[i].user, cases[i].url, "user");
        expect_text(u.password, cases[i].password, cases[i].url, "password");
        expect_text(u.shown, cases[i].shown, cases[i].url, "shown");
        cr_expect_eq(u.port, cases[i].port, "%s", cases[i].url);
        cr_expect_eq(u.db, cases[i].db, "%s", cases[i].url);
        url_done(&u);
    }
}

/* Nothing is written, and of what may be a password ("sesame", "se/same"…) nothing is told. */
static void expect_refused(const char *const *urls, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct redis_url u = {.db = 77};
        jobq_err err = {0};
        cr_expect_eq(url_parse(urls[i], &u, &err), JOBQ_EINVAL, "%s", urls[i]);
        cr_expect_eq(err.code, JOBQ_EINVAL);
        cr_expect_gt(strlen(err.msg), 15u, "%s", urls[i]);
        cr_expect_eq(u.db, 77, "%s: written on failure", urls[i]);
        cr_expect_null(strstr(err.msg, "same"), "%s: %s", urls[i], err.msg);
        cr_expect_null(strstr(err.msg, "se/"), "%s: %s", urls[i], err.msg);
    }
}

Test(url, refuses_what_is_no_url_of_redis)
{
    static const char *const urls[] = {
        "", "h", "h:6379", "localhost", "redis:/h", "redis:", "redis://",
    };
    expect_refused(urls, ARRAY_LEN(urls));
}

Test(url, refuses_hosts_ports_and_databases_that_are_none)
{
    static const char *const urls[] = {
        "redis:///0",
        "redis://h:",
        "redis://h:0",
        "redis://h:65536",
        "redis://h:99999999999",
        "redis://h:6379x",
        "redis://h:+1",
        "redis://h/x",
        "redis://h/-1",
        "redis://h/0/1",
        "redis://h/99999999999",
        "redis://h?db=1",
        "redis://h#1",
        "redis://bob:@h",
        "redis://a b",
        "redis://h,h2",
        "redis://::1",
        "redis://[::1",
        "redis://[::1]x",
        "redis://[]",
        "redis://[fe80::1%12e]",
        "redis://[::1%2f]",
        "redis://h%41",
    };
    expect_refused(urls, ARRAY_LEN(urls));
}

Test(url, refuses_paths_of_sockets_that_are_none)
{
    static const char *const urls[] = {
        "unix://",       "unix:///",           "unix://run/sock", "unix:///s?x=1",
        "unix:///s?db=", "unix:///s?db=1&x=2", "unix:///%00",
    };
    expect_refused(urls, ARRAY_LEN(urls));
}

Test(url, never_shows_a_secret_of_what_it_refuses)
{
    static const char *const urls[] = {
        "http://sesame",
        "redis://h/1?x=sesame",
        "redis://sesame@h",
        "redis://:sesame%@h",
        "redis://:sesame%4@h",
        "redis://:sesame%zz@h",
        "redis://:sesame%00@h",
        "redis://bob:se/same@h",
        "redis://bob:se?same@h",
        "redis://bob:se#same@h",
        "redis://[sesame!]",
        "unix:///s#sesame",
        "unix://sesame@/s",
        "rediss://bob:sesame@h",
        "redis+sentinel://:sesame@a,b/m/0",
        "redis+cluster://:sesame@a",
        "REDISS://sesame",
        "redis-sentinel://sesame",
    };
    expect_refused(urls, ARRAY_LEN(urls));
}

Test(url, names_the_form_that_this_build_cannot_serve)
{
    static const char *const cases[] = {"rediss://h", "redis+sentinel://h/m/0",
                                        "redis+cluster://h"};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct redis_url u;
        jobq_err err = {0};
        char scheme[32];
        snprintf(scheme, sizeof(scheme), "%.*s", (int)(strstr(cases[i], "//") - cases[i]),
                 cases[i]);
        cr_assert_eq(url_parse(cases[i], &u, &err), JOBQ_EINVAL);
        cr_assert_not_null(strstr(err.msg, scheme), "%s", err.msg);
        cr_assert_not_null(strstr(err.msg, "not supported"), "%s", err.msg);
    }
}

Test(url, bounds_every_part)
{
    char text[8000];
    struct redis_url u;
    jobq_err err;

    memset(text, 'a', sizeof(text));
    memcpy(text, "redis://", 8);
    text[8 + 256] = '\0';
    cr_assert_eq(url_parse(text, &u, &err), JOBQ_EINVAL);
    text[8 + 255] = '\0';
    cr_assert_eq(url_parse(text, &u, &err), JOBQ_OK);
    cr_assert_lt(strlen(u.shown), sizeof(u.shown));
    cr_assert_eq(strlen(u.host), 255u);
    url_done(&u);
    memset(text, 'a', sizeof(text));
    memcpy(text, "unix:///", 8);
    text[7 + 108] = '\0';
    cr_assert_eq(url_parse(text, &u, &err), JOBQ_EINVAL);
    text[7 + 107] = '\0';
    cr_assert_eq(url_parse(text, &u, &err), JOBQ_OK);
    cr_assert_str_eq(u.shown + strlen(u.shown) - 3, "a/0");
    url_done(&u);
    memset(text, 'a', sizeof(text));
    memcpy(text, "redis://:", 9);
    memcpy(text + 3000, "@h", 3);
    cr_assert_eq(url_parse(text, &u, &err), JOBQ_EINVAL);
    text[sizeof(text) - 1] = '\0';
    cr_assert_eq(url_parse(text, &u, &err), JOBQ_EINVAL);
}

Test(url, copies_all_it_holds)
{
    struct redis_url a, b;

    cr_assert_eq(url_parse("redis://u:p@h:1/2", &a, NULL), JOBQ_OK);
    cr_assert_eq(url_copy(&a, &b, NULL), JOBQ_OK);
    url_done(&a);
    cr_assert_str_eq(b.host, "h");
    cr_assert_str_eq(b.user, "u");
    cr_assert_str_eq(b.password, "p");
    cr_assert_str_eq(b.shown, "h:1/2");
    cr_assert_null(b.path);
    url_done(&b);
    url_done(&b);
}

Test(url, survives_every_refused_allocation)
{
    static const char *const cases[] = {"redis://u:p@h", "unix://u:p@/s?db=3"};
    struct redis_url u, copy;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        long nth = 1;
        int code = JOBQ_ENOMEM;
        for (; code == JOBQ_ENOMEM; nth++) {
            mem_fail_at(nth, 0);
            code = url_parse(cases[i], &u, NULL);
            mem_fail_at(0, 0);
        }
        cr_assert_eq(code, JOBQ_OK);
        cr_assert_gt(nth, 3);
        for (nth = 1, code = JOBQ_ENOMEM; code == JOBQ_ENOMEM; nth++) {
            mem_fail_at(nth, 0);
            code = url_copy(&u, &copy, NULL);
            mem_fail_at(0, 0);
        }
        cr_assert_eq(code, JOBQ_OK);
        cr_assert_gt(nth, 3);
        url_done(&u);
        url_done(&copy);
    }
}
