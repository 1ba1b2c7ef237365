/* SPDX-License-Identifier: MIT */
/* mail_data: see mail_data.h. */
#include "worker/handlers/mail/mail_data.h"

#include <stdlib.h>
#include <string.h>

#include "worker/handlers/mail/header.h"

const char *const *mail_data_names(void)
{
    static const char *const names[] = {
#define NAME(field, name, meaning) name,
        MAIL_DATA_FIELDS(NAME)
#undef NAME
            MAIL_DATA_SUBJECT,
        MAIL_DATA_LANGUAGE,
        NULL,
    };

    return names;
}

/* The object that a name's last part belongs to; made when it is not there. NULL: no memory. */
static json_t *find_parent(json_t *root, const char **name)
{
    const char *dot;

    while ((dot = strchr(*name, '.')) != NULL) {
        char part[32];
        json_t *child;

        part[0] = '\0';
        strncat(part, *name, (size_t)(dot - *name));
        child = json_object_get(root, part);
        if (!child) {
            child = json_object();
            if (json_object_set_new(root, part, child) != 0) {
                return NULL;
            }
        }
        root = child;
        *name = dot + 1;
    }
    return root;
}

static bool put(json_t *root, const char *name, const char *value)
{
    json_t *parent;
    char *copy;
    bool is_put;

    if (!value || !value[0]) {
        return true;
    }
    copy = strdup(value);
    parent = find_parent(root, &name);
    if (copy) {
        header_clean(copy);
    }
    is_put = copy && parent && json_object_set_new(parent, name, json_string(copy)) == 0;
    free(copy);
    return is_put;
}

json_t *mail_data_json(const struct mail_data *data, struct mail_fault *why)
{
    json_t *root = json_object();
    bool is_filled = root != NULL;

#define PUT(field, name, meaning) is_filled = is_filled && put(root, name, data->field);
    MAIL_DATA_FIELDS(PUT)
#undef PUT
    if (!is_filled) {
        json_decref(root);
        mail_fault_set(why, MAIL_FAULT_SYSTEM, "no memory for the data of a mail");
        return NULL;
    }
    return root;
}
