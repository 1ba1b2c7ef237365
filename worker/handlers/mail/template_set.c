/* SPDX-License-Identifier: MIT */
/* template_set: see template_set.h. */
#include "worker/handlers/mail/template_set.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "worker/handlers/common/text.h"
#include "worker/handlers/mail/template.h"
#include "worker/handlers/mail/template_file.h"

#define LAST_RESORT "en"
#define TYPE_MAX 64
#define DIRECTORY_MAX (PATH_MAX - TYPE_MAX - TEMPLATE_LANGUAGE_MAX - 16)

enum part { PART_SUBJECT, PART_TEXT, PART_HTML, PARTS };

static const char *const suffixes[PARTS] = {"subject", "txt", "html"};

struct template_set {
    char *overrides; /* NULL: none */
    char *shipped;
    struct template_cache cache;
};

/* The templates of one mail. */
struct chosen {
    const struct template *parts[PARTS];
    char language[TEMPLATE_LANGUAGE_MAX + 1];
};

struct template_set *template_set_new(const char *overrides, const char *shipped)
{
    struct template_set *set = calloc(1, sizeof(*set));

    if (!set) {
        return NULL;
    }
    set->shipped = strdup(shipped);
    set->overrides = overrides && overrides[0] ? strdup(overrides) : NULL;
    if (!set->shipped || (overrides && overrides[0] && !set->overrides)) {
        template_set_free(set);
        return NULL;
    }
    return set;
}

void template_set_free(struct template_set *set)
{
    if (set) {
        template_cache_done(&set->cache);
        free(set->overrides);
        free(set->shipped);
        free(set);
    }
}

/* ---- choosing ---- */

/* "pt_BR" is the directory pt-br. */
static bool read_language(const char *language, char *out, struct mail_fault *why)
{
    size_t len = strlen(language);
    bool is_valid = len > 0 && len <= TEMPLATE_LANGUAGE_MAX;

    for (size_t i = 0; is_valid && i <= len; i++) {
        char c = language[i];

        c = c == '_' ? '-' : c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
        is_valid =
            (c >= 'a' && c <= 'z') || (i > 0 && ((c >= '0' && c <= '9') || c == '-')) || i == len;
        out[i] = c;
    }
    return is_valid || mail_fault_set(why, MAIL_FAULT_SETTING,
                                      "\"%.32s\" is not a language such as en or pt-br", language);
}

static bool is_type(const char *type)
{
    return type[0] && type[0] != '.' && strlen(type) <= TYPE_MAX &&
           type[strspn(type, "abcdefghijklmnopqrstuvwxyz0123456789_.-")] == '\0';
}

/* One file, the operator's before the shipped one. */
static enum template_found find_part(struct template_set *set, const char *type,
                                     const char *language, enum part part,
                                     const struct template **out, struct mail_fault *why)
{
    const char *const directories[] = {set->overrides, set->shipped};
    enum template_found found = TEMPLATE_ABSENT;
    char path[PATH_MAX];

    for (size_t i = 0; found == TEMPLATE_ABSENT && i < 2; i++) {
        if (!directories[i]) {
            continue;
        }
        if (strlen(directories[i]) > DIRECTORY_MAX) {
            mail_fault_set(why, MAIL_FAULT_SETTING,
                           "the directory of templates has a name longer "
                           "than %d bytes",
                           (int)DIRECTORY_MAX);
            return TEMPLATE_FAULT;
        }
        text_format(path, sizeof(path), "%s/%s/%s.%s", directories[i], language, type,
                    suffixes[part]);
        found = template_file_get(&set->cache, path, mail_data_names(), out, why);
    }
    return found;
}

/* All files of a language. TEMPLATE_ABSENT: there is none of them. */
static enum template_found find_language(struct template_set *set, const char *type,
                                         const char *language, struct chosen *out,
                                         struct mail_fault *why)
{
    bool is_there[PARTS];
    int count = 0;

    for (int i = 0; i < PARTS; i++) {
        enum template_found found =
            find_part(set, type, language, (enum part)i, &out->parts[i], why);

        if (found == TEMPLATE_FAULT) {
            return found;
        }
        is_there[i] = found == TEMPLATE_FOUND;
        count += is_there[i];
    }
    for (int i = 0; count > 0 && i < PARTS; i++) {
        if (!is_there[i]) {
            mail_fault_set(why, MAIL_FAULT_TEMPLATE,
                           "%s/%s.%s is missing in %s%s%s, where other templates of this language "
                           "and type are",
                           language, type, suffixes[i], set->overrides ? set->overrides : "",
                           set->overrides ? " and " : "", set->shipped);
            return TEMPLATE_FAULT;
        }
    }
    text_format(out->language, sizeof(out->language), "%s", language);
    return count > 0 ? TEMPLATE_FOUND : TEMPLATE_ABSENT;
}

static bool choose(struct template_set *set, const char *type, const char *language,
                   struct chosen *out, struct mail_fault *why)
{
    char wanted[TEMPLATE_LANGUAGE_MAX + 1];
    enum template_found found;

    if (!is_type(type)) {
        return mail_fault_set(why, MAIL_FAULT_DATA, "\"%.64s\" is not a type of mail", type);
    }
    if (!read_language(language, wanted, why)) {
        return false;
    }
    found = find_language(set, type, wanted, out, why);
    while (found == TEMPLATE_ABSENT && strcmp(wanted, LAST_RESORT) != 0) {
        char *region = strrchr(wanted, '-');

        if (region) {
            *region = '\0';
        } else {
            text_format(wanted, sizeof(wanted), "%s", LAST_RESORT);
        }
        found = find_language(set, type, wanted, out, why);
    }
    if (found == TEMPLATE_ABSENT) {
        mail_fault_set(why, MAIL_FAULT_TEMPLATE, "no templates %s/%s.{subject,txt,html} in %s%s%s",
                       LAST_RESORT, type, set->overrides ? set->overrides : "",
                       set->overrides ? " or " : "", set->shipped);
    }
    return found == TEMPLATE_FOUND;
}

bool template_set_check(struct template_set *set, const char *type, const char *language,
                        struct mail_fault *why)
{
    struct chosen chosen;

    return choose(set, type, language, &chosen, why);
}

/* ---- rendering ---- */

static bool render_part(const struct template *t, json_t *data, enum template_escape escape,
                        size_t max, char **out, struct mail_fault *why)
{
    struct bytes bytes;
    bool is_rendered;

    bytes_init(&bytes, max);
    is_rendered = template_render(t, data, escape, &bytes, why);
    if (is_rendered) {
        *out = bytes_take(&bytes);
        is_rendered = *out || mail_fault_set(why, MAIL_FAULT_SYSTEM, "no memory for a mail");
    }
    bytes_done(&bytes);
    return is_rendered;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

/* Takes blanks and line ends away at both ends; the rest must be one line. */
static bool trim_subject(char *subject, const struct chosen *chosen, const char *type,
                         struct mail_fault *why)
{
    char *start = subject;
    size_t len;

    for (; is_blank(*start); start++) {
    }
    len = strlen(start);
    for (; len > 0 && is_blank(start[len - 1]); len--) {
    }
    memmove(subject, start, len);
    subject[len] = '\0';
    if (len == 0) {
        return mail_fault_set(why, MAIL_FAULT_TEMPLATE, "%s/%s.subject renders to nothing",
                              chosen->language, type);
    }
    if (strpbrk(subject, "\n\t")) {
        return mail_fault_set(why, MAIL_FAULT_TEMPLATE,
                              "%s/%s.subject renders to more than one line, or holds a tab",
                              chosen->language, type);
    }
    return true;
}

static bool render_all(const struct chosen *chosen, const char *type, json_t *data,
                       struct mail_parts *out, struct mail_fault *why)
{
    if (!render_part(chosen->parts[PART_SUBJECT], data, TEMPLATE_PLAIN, TEMPLATE_SUBJECT_MAX,
                     &out->subject, why) ||
        !trim_subject(out->subject, chosen, type, why)) {
        return false;
    }
    if (json_object_set_new(data, MAIL_DATA_SUBJECT, json_string(out->subject)) != 0) {
        return mail_fault_set(why, MAIL_FAULT_SYSTEM, "no memory for a mail");
    }
    return render_part(chosen->parts[PART_TEXT], data, TEMPLATE_PLAIN, TEMPLATE_PART_MAX,
                       &out->text, why) &&
           render_part(chosen->parts[PART_HTML], data, TEMPLATE_HTML, TEMPLATE_PART_MAX, &out->html,
                       why);
}

bool template_set_render(struct template_set *set, const char *type, const char *language,
                         const struct mail_data *data, struct mail_parts *out,
                         struct mail_fault *why)
{
    struct mail_parts parts = {0};
    struct chosen chosen;
    bool is_rendered;
    json_t *json;

    if (!choose(set, type, language, &chosen, why)) {
        return false;
    }
    json = mail_data_json(data, why);
    if (!json) {
        return false;
    }
    text_format(parts.language, sizeof(parts.language), "%s", chosen.language);
    is_rendered =
        json_object_set_new(json, MAIL_DATA_LANGUAGE, json_string(chosen.language)) == 0 ||
        mail_fault_set(why, MAIL_FAULT_SYSTEM, "no memory for a mail");
    is_rendered = is_rendered && render_all(&chosen, type, json, &parts, why);
    json_decref(json);
    if (is_rendered) {
        *out = parts;
    } else {
        mail_parts_done(&parts);
    }
    return is_rendered;
}

void mail_parts_done(struct mail_parts *parts)
{
    free(parts->subject);
    free(parts->text);
    free(parts->html);
    *parts = (struct mail_parts){0};
}
