/* SPDX-License-Identifier: MIT */
/*
 * web: a scrape as a test sees it: a request to a jobd's unix socket or port, numbers out of the
 * text.
 */
#ifndef TESTS_E2E_METRICS_WEB_H
#define TESTS_E2E_METRICS_WEB_H

#include "tests/e2e/scene.h"

/* Configuration text for jobd i: http at a unix socket of its own; more: further text or "". */
const char *web_conf(size_t i, const char *more);
/* Connected to jobd i; -1: it does not listen. */
int web_connect(size_t i);
/* The status of GET path there; *body (NUL-terminated) is the caller's to free. 0: no answer. */
int web_get(size_t i, const char *path, char **body);
int web_get_port(int port, const char *path, char **body);
/* The value of the sample whose line begins so (name and labels whole); -1 when there is none. */
double web_value(const char *text, const char *sample);
/* The same of a fresh scrape of jobd i. */
double web_scrape(size_t i, const char *sample);
/* Until a fresh scrape of jobd i gives that value; fails the test with what it gave last. */
void web_wait(size_t i, const char *sample, double value);
/* Until it gives more than that. */
void web_wait_above(size_t i, const char *sample, double value);
/* Until /readyz of jobd i answers so, with text in it. */
void web_wait_ready(size_t i, int status, const char *text);

#endif
