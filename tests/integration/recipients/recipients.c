/* SPDX-License-Identifier: MIT */
/*
 * recipients CONNINFO [POST …]: the judge's answers as lines "post_id,user_id,send_emails" under a
 * heading; a post of which nobody is told has one line without a user. Without posts: all there
 * are. For looking into what a test found, and for comparing with what else is known of a forum.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/integration/recipients/judge.h"

static void print_post(struct judge *j, long long post)
{
    size_t count;
    const struct told *told = judge_post(j, post, &count);

    for (size_t i = 0; i < count; i++) {
        printf("%lld,%lld,%c\n", post, told[i].user_id, told[i].send_emails ? 't' : 'f');
    }
    if (count == 0) {
        printf("%lld,,\n", post);
    }
}

int main(int argc, char **argv)
{
    PGconn *conn = PQconnectdb(argc > 1 ? argv[1] : "");
    struct judge *j;
    size_t count = 0;

    if (argc < 2 || PQstatus(conn) != CONNECTION_OK) {
        fprintf(stderr, "usage: recipients CONNINFO [POST …]\n%s", PQerrorMessage(conn));
        PQfinish(conn);
        return 2;
    }
    j = judge_open(conn);
    PQfinish(conn);
    puts("post_id,user_id,send_emails");
    const long long *posts = judge_posts(j, &count);
    for (size_t i = 0; argc == 2 && i < count; i++) {
        print_post(j, posts[i]);
    }
    for (int i = 2; i < argc; i++) {
        print_post(j, strtoll(argv[i], NULL, 10));
    }
    judge_close(j);
    return 0;
}
