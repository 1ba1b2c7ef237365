/* SPDX-License-Identifier: MIT */
/* cmd_doctor: jobctl doctor; the checks are in doctor_*.c. */
#include <stdio.h>
#include <string.h>

#include "admin/jobctl/command.h"
#include "admin/jobctl/commands.h"
#include "admin/jobctl/doctor.h"
#include "admin/jobctl/session.h"
#include "base/clock.h"
#include "base/error.h"

void doctor_add(struct doctor *d, const char *check, enum doctor_verdict verdict, const char *found,
                const char *mend)
{
    static const char *const words[] = {
        [DOCTOR_SKIPPED] = "skipped", [DOCTOR_OK] = "ok", [DOCTOR_FAULT] = "fault"};
    bool fault = verdict == DOCTOR_FAULT;
    d->faults += fault;
    json_array_append_new(
        d->checks, json_pack("{s:s, s:s, s:o, s:o}", "check", check, "status", words[verdict],
                             "found", out_string(found, strlen(found)), "mend",
                             fault && mend != NULL ? json_string(mend) : json_null()));
}

void doctor_judge(struct doctor *d, const char *check, bool fine, const char *found,
                  const char *mend)
{
    doctor_add(d, check, fine ? DOCTOR_OK : DOCTOR_FAULT, found, mend);
}

void doctor_skip(struct doctor *d, const char *const *checks, size_t n, const char *why)
{
    for (size_t i = 0; i < n; i++)
        doctor_add(d, checks[i], DOCTOR_SKIPPED, why, NULL);
}

void doctor_clock(struct doctor *d, const char *check, int64_t asked_ms, int64_t clock_ms)
{
    char found[64];
    /* How long the question and the answer were on their way is no fault of a clock. */
    int64_t behind = MAX(asked_ms - clock_ms, INT64_C(0));
    int64_t ahead = behind > 0 ? -behind : MAX(clock_ms - clock_wall_ms(), INT64_C(0));
    bool fine = ahead >= -DOCTOR_CLOCK_MS && ahead <= DOCTOR_CLOCK_MS;
    if (fine)
        snprintf(found, sizeof(found), "that of this host, within %d s", DOCTOR_CLOCK_MS / 1000);
    else
        snprintf(found, sizeof(found), "%lld s %s this host's",
                 (long long)((ahead < 0 ? -ahead : ahead) / 1000),
                 ahead < 0 ? "behind" : "ahead of");
    doctor_judge(d, check, fine, found,
                 "set both clocks by NTP (timedatectl tells which is wrong)");
}

int cmd_doctor(struct session *s, const struct args *a, jobq_err *err)
{
    static const struct out_column columns[] = {
        {"check", "CHECK", OUT_TEXT},
        {"status", "STATUS", OUT_STATE},
        {"found", "FOUND", OUT_TEXT},
        {"mend", "MEND", OUT_TEXT},
    };
    static const struct out_section section = {"checks", columns, ARRAY_LEN(columns), NULL};
    struct doctor d = {.checks = json_array()};
    (void)a;
    doctor_redis(s, &d);
    doctor_postgres(s, &d);
    doctor_host(s, &d);
    json_t *root = json_pack("{s:o, s:i}", "checks", d.checks, "faults", d.faults);
    int rc = out_show(&s->out, root, &section, 1, err);
    if (rc == JOBQ_OK && d.faults > 0)
        rc = error_set(err, JOBQ_ESTATE, "%d fault%s", d.faults, d.faults == 1 ? "" : "s");
    return rc;
}
