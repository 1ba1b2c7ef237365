/* SPDX-License-Identifier: MIT */
#include "worker/pace.h"

#define SOON_MS 200
#define WAITING_MS 1000

int64_t pace_of_class(enum reply_class c)
{
    switch (c) {
    case REPLY_FINE:
    case REPLY_NOSCRIPT:
    case REPLY_LOST_DATA:
    case REPLY_DEMOTED: /* the connection is broken off for it, and comes back at its own pace */
    case REPLY_OOM:     /* what frees memory goes on; the next attempt may fit */
        return SOON_MS;
    case REPLY_AUTH: /* somebody has to change something: seldom */
        return PACE_SLOWEST_MS;
    case REPLY_LOADING:
    case REPLY_NOT_WRITABLE:
    case REPLY_BUSY:
    case REPLY_CLUSTER:
    case REPLY_TOO_MANY:
    case REPLY_OTHER:
        break;
    }
    return WAITING_MS;
}

int64_t pace_of(const struct redisReply *r)
{
    return pace_of_class(r ? reply_class_of(r) : REPLY_FINE);
}
