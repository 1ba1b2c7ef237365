/* SPDX-License-Identifier: MIT */
/* http_impl: what http.c and http_address.c share; nobody else includes it. */
#ifndef WORKER_HTTP_IMPL_H
#define WORKER_HTTP_IMPL_H

#include <sys/types.h>
#include <sys/un.h>

#include "worker/http.h"

/* The file of a unix socket of ours; path "": none. */
struct http_file {
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    dev_t device;
    ino_t inode;
};

/* A listening socket, or -1 with JOBQ_ESTATE in err. */
int http_listen(const struct http_address *a, jobq_err *err);
void http_note_file(const struct http_address *a, struct http_file *out);
/* Removes it if it is still ours: another jobd may have taken the path. */
void http_remove_file(const struct http_file *f);

#endif
