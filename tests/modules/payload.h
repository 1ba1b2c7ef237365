/* SPDX-License-Identifier: MIT */
/*
 * payload: just enough of JSON for the test modules, whose payloads the tests write themselves:
 * {"key": 5} and {"key": "text"} at the top level, with the escapes \" \\ \n in texts.
 */
#ifndef TESTS_MODULES_PAYLOAD_H
#define TESTS_MODULES_PAYLOAD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jobq/handler.h>

static inline const char *payload_find(const jobq_job_view *job, const char *key)
{
    char quoted[64];
    const char *at;

    snprintf(quoted, sizeof(quoted), "\"%s\"", key);
    at = strstr(job->payload, quoted);
    if (at == NULL)
        return NULL;
    at += strlen(quoted);
    return at + strspn(at, " :");
}

static inline long payload_int(const jobq_job_view *job, const char *key, long fallback)
{
    const char *at = payload_find(job, key);

    return at != NULL ? strtol(at, NULL, 10) : fallback;
}

/* 1, or 0 when there is no such text (out is then ""). */
static inline int payload_text(const jobq_job_view *job, const char *key, char *out,
                               size_t out_size)
{
    const char *at = payload_find(job, key);
    size_t n = 0;

    out[0] = '\0';
    if (at == NULL || *at != '"')
        return 0;
    for (at++; *at != '\0' && *at != '"' && n + 1 < out_size; at++) {
        if (*at == '\\' && at[1] != '\0') {
            at++;
            out[n++] = *at == 'n' ? '\n' : *at;
        } else {
            out[n++] = *at;
        }
    }
    out[n] = '\0';
    return 1;
}

#endif
