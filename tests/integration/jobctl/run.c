/* SPDX-License-Identifier: MIT */
/* run: see run.h. */
#include "tests/integration/jobctl/run.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"

#define ARGS_MAX 40
/* Larger numbers are moments of this run. */
#define EPOCH_MS 1750000000000

struct run run_jobctl(const char *input, const char *const *args)
{
    struct run r = {0};
    const char *argv[ARGS_MAX + 5] = {"/bin/sh", "-c", "exec \"$0\" \"$@\" 2>\"$JOBCTL_STDERR\"",
                                      bin_path("jobctl")};
    const char *errors = fmt("%s/stderr", tmp_dir());
    size_t n = 4;
    for (size_t i = 0; args[i] != NULL; i++) {
        cr_assert(i < ARGS_MAX);
        argv[n++] = args[i];
    }
    setenv("JOBCTL_STDERR", errors, 1);
    r.status = run_command(&r.out, input, argv);
    r.err = read_file(errors);
    r.json = r.out != NULL ? json_loads(r.out, 0, NULL) : NULL;
    return r;
}

void run_free(struct run *r)
{
    free(r->out);
    free(r->err);
    json_decref(r->json);
    memset(r, 0, sizeof(*r));
}

void expect(const struct run *r, int status, const char *text)
{
    cr_assert(r->status == status, "exit status %d instead of %d\n%s%s", r->status, status, r->out,
              r->err);
    cr_assert(text == NULL || strstr(r->err, text) != NULL, "no \"%s\" in: %s", text, r->err);
    cr_assert(status == 0 || strlen(r->err) > 0, "exit status %d without a word", status);
    cr_assert(status != 0 || strlen(r->err) == 0, "done, but said: %s", r->err);
}

/* ---- golden ---- */

static size_t digits_at(const char *s)
{
    return strspn(s, "0123456789");
}

/* "…/1795412973659-0…" to "…/<entry>…"; ids likewise. */
static char *blank(const char *s)
{
    char *out = calloc(1, strlen(s) * 2 + 16);
    size_t n = 0;
    while (*s != '\0') {
        bool id = strlen(s) >= 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' &&
                  strspn(s, "0123456789abcdef-") >= 36;
        size_t ms = digits_at(s);
        if (id) {
            n += (size_t)sprintf(out + n, "<id>");
            s += 36;
        } else if (ms == 13 && s[ms] == '-' && digits_at(s + ms + 1) > 0) {
            n += (size_t)sprintf(out + n, "<entry>");
            s += ms + 1 + digits_at(s + ms + 1);
        } else {
            out[n++] = *s++;
        }
    }
    return out;
}

static json_t *normal(const char *key, json_t *value)
{
    size_t len = key != NULL ? strlen(key) : 0;
    bool is_ms = len > 3 && strcmp(key + len - 3, "_ms") == 0;
    bool varies =
        is_ms && (strcmp(key, "oldest_ms") == 0 || strcmp(key, "idle_ms") == 0 ||
                  strcmp(key, "age_ms") == 0 || strcmp(key, "up_ms") == 0 ||
                  strcmp(key, "claimed_for_ms") == 0 || json_integer_value(value) > EPOCH_MS);
    if (json_is_object(value)) {
        const char *name;
        json_t *member_value, *out = json_object();
        json_object_foreach(value, name, member_value)
            json_object_set_new(out, name, normal(name, member_value));
        return out;
    }
    if (json_is_array(value)) {
        json_t *out = json_array();
        for (size_t i = 0; i < json_array_size(value); i++)
            json_array_append_new(out, normal(NULL, json_array_get(value, i)));
        return out;
    }
    if (json_is_string(value)) {
        char *text = blank(json_string_value(value));
        json_t *out = json_string(text);
        free(text);
        return out;
    }
    if (varies && json_is_integer(value))
        return json_string("<ms>");
    return json_incref(value);
}

void expect_golden(const struct run *r, const char *name)
{
    const char *path = source_path(fmt("tests/integration/jobctl/golden/%s.json", name));
    cr_assert(r->json != NULL, "no JSON: %s%s", r->out, r->err);
    json_error_t error;
    json_t *golden = json_load_file(path, 0, &error);
    json_t *have = normal(NULL, r->json);
    char *text = json_dumps(have, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    if (golden == NULL || !json_equal(golden, have))
        fail_test("the answer is not %s (%s); normalised it is:\n%s", path,
                  golden == NULL ? error.text : "differs", text);
    free(text);
    json_decref(have);
    json_decref(golden);
}

json_t *member(const struct run *r, const char *path)
{
    json_t *at = r->json;
    char name[64];
    for (const char *rest = path; at != NULL && *rest != '\0';) {
        size_t len = strcspn(rest, ".");
        snprintf(name, sizeof(name), "%.*s", (int)len, rest);
        at = isdigit((unsigned char)name[0]) ? json_array_get(at, strtoul(name, NULL, 10))
                                             : json_object_get(at, name);
        rest += len + (rest[len] == '.');
    }
    cr_assert(at != NULL, "no %s in: %s%s", path, r->out, r->err);
    return at;
}

const char *text_at(const struct run *r, const char *path)
{
    json_t *value = member(r, path);
    cr_assert(json_is_string(value), "%s is no string: %s", path, r->out);
    return json_string_value(value);
}

long long number_at(const struct run *r, const char *path)
{
    json_t *value = member(r, path);
    cr_assert(json_is_integer(value), "%s is no number: %s", path, r->out);
    return json_integer_value(value);
}

void expect_doctor_fault(const char *conf, const char *check, const char *found, const char *mend)
{
    struct run r =
        conf == NULL ? JOBCTL("doctor", "--json") : JOBCTL("doctor", "--json", "-c", conf);
    bool met = false;
    expect(&r, 1, "1 fault");
    cr_assert(number_at(&r, "faults") == 1, "%s", r.out);
    for (size_t i = 0; i < json_array_size(member(&r, "checks")); i++) {
        bool ours = strcmp(text_at(&r, fmt("checks.%zu.check", i)), check) == 0;
        bool fault = strcmp(text_at(&r, fmt("checks.%zu.status", i)), "fault") == 0;
        met = met || ours;
        cr_assert(fault == ours, "%s", r.out);
        if (ours) {
            cr_assert(strstr(text_at(&r, fmt("checks.%zu.found", i)), found) != NULL, "%s", r.out);
            cr_assert(strstr(text_at(&r, fmt("checks.%zu.mend", i)), mend) != NULL, "%s", r.out);
        }
    }
    cr_assert(met, "no check %s: %s", check, r.out);
    run_free(&r);
}
