/* SPDX-License-Identifier: MIT */
/* conninfo: what libpq takes is taken, what it would refuse by repeating it is refused without. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/conninfo.h"

Test(conninfo, takes_what_libpq_takes)
{
    static const char *const good[] = {
        "host=h dbname=d user=u password=p",
        "",
        "  host = h   port=5432  ",
        "host=a,b port=1,2",
        "password='a b' host=h",
        "password='it\\'s' host=h",
        "password='' host=h",
        "password=a\\ b host=h",
        "password=a@b:c/d?e%f host=/run/postgresql",
        "port='5432'",
        "postgresql://",
        "postgresql://h",
        "postgres://u:p@h:5432/db",
        "postgresql://u:p%40%2f@h/db?sslmode=require&connect_timeout=3",
        "postgresql://u:p?q@h/db",
        "postgresql://u@a:1,b:2/db",
        "postgresql://u@[::1]:5432/db",
        "postgresql://[::1],[::2]",
        "postgresql:///db?host=/run/postgresql",
        "postgresql://%2Frun%2Fpostgresql/db",
        "postgresql://h:/db",
        "postgresql://h?user=u",
    };
    jobq_err err = {0};

    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        cr_expect_eq(conninfo_check(good[i], &err), JOBQ_OK, "%s: %s", good[i], err.msg);
}

/* In each a password has a character that had to be quoted. */
Test(conninfo, refuses_without_repeating)
{
    static const char *const bad[] = {
        "host=h password=my s3cret",
        "host=h password= s3cret x",
        "host=h password='s3cret",
        "host=h password='s3'cret",
        "s3cret",
        "=s3cret",
        "host=h port=s3cret",
        "host=h port='s3cret'",
        "postgresql://u:s3/cret@h/db",
        "postgresql://u:12/s3cret@h/db",
        "postgresql://u:s3@cret@h/db",
        "postgresql://u:s3%cret@h/db",
        "postgresql://u:s3cret%",
        "postgresql://u:s3cret",
        "postgresql://u:p@h:s3cret/db",
        "postgresql://u:p@[::1s3cret/db",
        "postgresql://u:p@[::1]s3cret/db",
        "postgresql://h/db?s3cret",
        "postgresql://h/db?password=s3=cret",
    };
    jobq_err err;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        memset(&err, 0, sizeof(err));
        cr_expect_eq(conninfo_check(bad[i], &err), JOBQ_ECONFIG, "%s", bad[i]);
        cr_expect_not(strstr(err.msg, "s3") || strstr(err.msg, "cret"), "%s", err.msg);
        cr_expect(strstr(err.msg, "connection string"), "%s", err.msg);
    }
}

Test(conninfo, walks_over_pairs_up_to_what_is_none)
{
    const char *at = " host = h password='a\\'b' port=1 rest";
    struct conninfo_pair pair;
    static const char *const expected[][2] = {
        {"host", "h"}, {"password", "'a\\'b'"}, {"port", "1"}};

    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        cr_assert(conninfo_next(&at, &pair));
        cr_assert(pair.is_closed);
        cr_assert_eq(pair.key_len, strlen(expected[i][0]));
        cr_assert_eq(strncmp(pair.key, expected[i][0], pair.key_len), 0);
        cr_assert_eq(pair.value_len, strlen(expected[i][1]));
        cr_assert_eq(strncmp(pair.value, expected[i][1], pair.value_len), 0);
    }
    cr_assert_not(conninfo_next(&at, &pair));
    cr_assert_str_eq(at, "rest");
    at = "a='b c";
    cr_assert(conninfo_next(&at, &pair));
    cr_assert(!pair.is_closed && pair.value_len == 4 && *at == '\0');
    cr_assert_not(conninfo_next(&at, &pair));
}
