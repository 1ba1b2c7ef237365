/* SPDX-License-Identifier: MIT */
/* cmd_config: jobctl config show and config check: jobd's options, read as jobd reads them. */
#include <string.h>
#include <unistd.h>

#include "admin/jobctl/command.h"
#include "admin/jobctl/commands.h"
#include "admin/jobctl/session.h"
#include "admin/jobctl/settings.h"
#include "base/error.h"
#include "config/config.h"

struct listing {
    json_t *rows;
    bool changed_only;
};

static void add_row(void *ctx, const struct worker_config_value *v)
{
    struct listing *l = ctx;
    bool is_default = strcmp(v->source, "default") == 0;
    if (l->changed_only && is_default)
        return;
    const char *value = v->value;
    json_array_append_new(l->rows,
                          json_pack("{s:s, s:o, s:o, s:b, s:b}", "option", v->name, "value",
                                    out_string(value, value != NULL ? strlen(value) : 0), "source",
                                    out_string(v->source, strlen(v->source)), "default",
                                    (int)is_default, "secret", (int)v->secret));
}

int cmd_config_show(struct session *s, const struct args *a, jobq_err *err)
{
    static const struct out_column columns[] = {
        {"option", "OPTION", OUT_TEXT},
        {"value", "VALUE", OUT_TEXT},
        {"source", "FROM", OUT_TEXT},
    };
    static const struct out_section section = {"options", columns, ARRAY_LEN(columns),
                                               "every option is as it is by default"};
    struct listing l = {json_array(), args_has(a, "changed")};
    const char *argv[SETTINGS_ARGV_MAX];
    int argc = settings_argv(a, NULL, argv);
    int rc = worker_config_each(argc, argv, (const char *const *)environ, add_row, &l, err);
    if (rc != JOBQ_OK) {
        json_decref(l.rows);
        return rc;
    }
    return out_show(&s->out, json_pack("{s:o}", "options", l.rows), &section, 1, err);
}

int cmd_config_check(struct session *s, const struct args *a, jobq_err *err)
{
    static const struct out_column columns[] = {
        {"file", "file", OUT_TEXT},
        {"status", "status", OUT_STATE},
        {"fault", "fault", OUT_TEXT},
    };
    static const struct out_section section = {"check", columns, ARRAY_LEN(columns), NULL};
    struct worker_config *c = NULL;
    const char *argv[SETTINGS_ARGV_MAX], *file = a->operands[0];
    int argc = settings_argv(a, file, argv);
    int rc = worker_config_load(argc, argv, (const char *const *)environ, NULL, &c, err);
    worker_config_free(c);
    if (rc != JOBQ_OK && (!s->out.json || rc != JOBQ_ECONFIG))
        return rc;
    const char *fault = rc != JOBQ_OK ? err->msg : NULL;
    json_t *check = json_pack("{s:o, s:s, s:o}", "file", out_string(file, strlen(file)), "status",
                              rc == JOBQ_OK ? "ok" : "fault", "fault",
                              out_string(fault, fault != NULL ? strlen(fault) : 0));
    int shown = out_show(&s->out, json_pack("{s:o}", "check", check), &section, 1, err);
    return shown != JOBQ_OK ? shown : rc;
}
