/* SPDX-License-Identifier: MIT */
/*
 * fixture: the forum of contrib/forum/fixture in a test's database, and the rights of
 * contrib/postgres on it.
 */
#ifndef TESTS_SUPPORT_FIXTURE_H
#define TESTS_SUPPORT_FIXTURE_H

struct postgres;

#define V039 "0.39"
#define V040 "0.40"

struct fixture {
    const char *version;
    int threads, posts, users;
    unsigned long long seed; /* 0: the usual one */
    const char *media;       /* directory for the users' images; NULL: none are written */
};

/* Runs load.sh; fails the test when it fails. */
void fixture_load(struct postgres *pg, const struct fixture *f);

/*
 * From now on the server's own user, who is named like the schema of our tables, makes and finds
 * tables in public: for a forum that is loaded after that schema, or beside it.
 */
void fixture_stay_public(struct postgres *pg);
/* What the role jobq_worker may do for this module; NULL version: no more than without a forum. */
void fixture_grant(struct postgres *pg, const char *module, const char *version);

#endif
