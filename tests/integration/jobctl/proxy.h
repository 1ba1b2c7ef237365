/* SPDX-License-Identifier: MIT */
/*
 * proxy: stands between jobctl and a server on a unix socket, and changes or cuts what passes, so
 * that a test breaks exactly one thing. Runs in threads of the test's process until it ends.
 */
#ifndef TESTS_INTEGRATION_JOBCTL_PROXY_H
#define TESTS_INTEGRATION_JOBCTL_PROXY_H

#include <stddef.h>

struct proxy {
    const char *listen; /* path made by the proxy */
    const char *target; /* NULL: takes connections and never answers */
    /* In what the server says, the first bytes are replaced by the second ones, of the same
     * length. */
    const char *find, *replace;
    size_t length;
    const char *cut_at; /* when the client says this, the link breaks, and the server does not get
                         * it */
    const char *cut_back_at; /* when the server says this, the link breaks, and the client does not
                              * get it */
};

/* p must outlive the test. */
void proxy_start(const struct proxy *p);

#endif
