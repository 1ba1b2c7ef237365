/* SPDX-License-Identifier: MIT */
/* judge_rights: see judge_rights.h. */
#include "tests/integration/recipients/judge_rights.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CATEGORY_KEYS "misago.categories.permissions"
#define THREAD_KEYS "misago.threads.permissions.threads"
#define PRIVATE_KEYS "misago.threads.permissions.privatethreads"

enum { GROUP_ADMINS = 1, GROUP_MODERATORS = 2 };

struct rights {
    const struct tables *t;
    json_t **roles; /* parsed, in the order of the tables */
    json_t **category_roles;
    struct place_rights *known; /* users times categories */
};

static json_t **parse(const struct role *roles, size_t count)
{
    json_t **parsed = calloc(count + 1, sizeof(json_t *));

    for (size_t i = 0; parsed && i < count; i++) {
        parsed[i] = json_loads(roles[i].json, 0, NULL);
        if (!parsed[i]) {
            fprintf(stderr, "judge: not JSON: %s\n", roles[i].json);
            abort();
        }
    }
    return parsed;
}

static void drop(json_t **parsed, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        json_decref(parsed[i]);
    }
    free(parsed);
}

struct rights *rights_open(const struct tables *t)
{
    struct rights *r = calloc(1, sizeof(*r));

    if (!r) {
        abort();
    }
    r->t = t;
    r->roles = parse(t->roles, t->roles_count);
    r->category_roles = parse(t->category_roles, t->category_roles_count);
    r->known = calloc(t->users_count * t->categories_count + 1, sizeof(*r->known));
    if (!r->roles || !r->category_roles || !r->known) {
        abort();
    }
    return r;
}

void rights_close(struct rights *r)
{
    drop(r->roles, r->t->roles_count);
    drop(r->category_roles, r->t->category_roles_count);
    free(r->known);
    free(r);
}

/* A number above zero, or true; anything else, or nothing there, is no. */
static bool says_yes(const json_t *permissions, const char *part, const char *key)
{
    const json_t *value = json_object_get(json_object_get(permissions, part), key);

    return json_is_true(value) || json_integer_value(value) > 0;
}

/* ---- 0.39: roles ---- */

static bool has_role(const struct tables *t, const struct user *u, long long role_id)
{
    for (size_t i = 0; i < t->user_roles_count; i++) {
        if (t->user_roles[i].of == u->id && t->user_roles[i].what == role_id) {
            return true;
        }
    }
    for (size_t i = 0; u->rank_id != 0 && i < t->rank_roles_count; i++) {
        if (t->rank_roles[i].of == u->rank_id && t->rank_roles[i].what == role_id) {
            return true;
        }
    }
    return false;
}

static void add_category_role(struct place_rights *may, const json_t *permissions)
{
    may->see |= says_yes(permissions, CATEGORY_KEYS, "can_see");
    may->browse |= says_yes(permissions, CATEGORY_KEYS, "can_browse");
    may->see_all_threads |= says_yes(permissions, THREAD_KEYS, "can_see_all_threads");
    may->hide_threads |= says_yes(permissions, THREAD_KEYS, "can_hide_threads");
    may->approve |= says_yes(permissions, THREAD_KEYS, "can_approve_content");
    may->hide_events |= says_yes(permissions, THREAD_KEYS, "can_hide_events");
}

static void look_039(struct rights *r, struct place_rights *may, const struct user *u,
                     const struct category *c)
{
    const struct tables *t = r->t;

    for (size_t i = 0; i < t->acls_count; i++) {
        if (t->acls[i].category_id != c->id || !has_role(t, u, t->acls[i].role_id)) {
            continue;
        }
        for (size_t k = 0; k < t->category_roles_count; k++) {
            if (t->category_roles[k].id == t->acls[i].category_role_id) {
                add_category_role(may, r->category_roles[k]);
            }
        }
    }
}

/* ---- 0.40: groups ---- */

static void look_040(struct rights *r, struct place_rights *may, const struct user *u,
                     const struct category *c)
{
    const struct tables *t = r->t;

    for (size_t i = 0; i < t->permissions_count; i++) {
        const struct permission *p = &t->permissions[i];

        if (p->category_id == c->id && list_has(u->groups, p->group_id)) {
            may->see |= strcmp(p->name, "see") == 0;
            may->browse |= strcmp(p->name, "browse") == 0;
        }
    }
    may->moderate = list_has(u->groups, GROUP_ADMINS) || list_has(u->groups, GROUP_MODERATORS);
    for (size_t i = 0; i < t->moderators_count; i++) {
        const struct moderator *m = &t->moderators[i];
        bool is_theirs =
            m->user_id == u->id || (m->group_id != 0 && list_has(u->groups, m->group_id));

        if (is_theirs && (m->is_global || list_has(m->categories, c->id))) {
            may->moderate = true;
        }
    }
}

/* ---- both ---- */

/* Whether what is in the category above lets one through to those below it. */
static bool lets_through(struct rights *r, const struct user *u, const struct category *above)
{
    const struct place_rights *may = rights_in(r, u, above);

    return may->enter || (r->t->is_040 && above->delays_browse_check && may->see);
}

const struct place_rights *rights_in(struct rights *r, const struct user *u,
                                     const struct category *c)
{
    const struct tables *t = r->t;
    struct place_rights *may =
        &r->known[(size_t)(u - t->users) * t->categories_count + (size_t)(c - t->categories)];

    if (may->is_known) {
        return may;
    }
    may->is_known = true;
    if (t->is_040) {
        look_040(r, may, u, c);
    } else {
        look_039(r, may, u, c);
    }
    if (c->level > 1) {
        const struct category *above = tables_category(t, c->parent_id);

        if (!above || !lets_through(r, u, above)) {
            may->see = false;
        }
    }
    may->enter = may->see && may->browse;
    return may;
}

bool rights_is_private(const struct rights *r, const struct category *c)
{
    while (c && !c->is_private_root) {
        c = c->parent_id != 0 ? tables_category(r->t, c->parent_id) : NULL;
    }
    return c != NULL;
}

static bool is_member(const struct tables *t, const struct user *u, const struct thread *thread)
{
    for (size_t i = 0; i < t->members_count; i++) {
        if (t->members[i].of == thread->id && t->members[i].what == u->id) {
            return true;
        }
    }
    return false;
}

/* Members, and moderators of private threads where something was reported. */
static bool sees_private_039(struct rights *r, const struct user *u, const struct thread *thread)
{
    const struct tables *t = r->t;
    bool uses = false;
    bool moderates = false;

    for (size_t i = 0; i < t->roles_count; i++) {
        if (has_role(t, u, t->roles[i].id)) {
            uses |= says_yes(r->roles[i], PRIVATE_KEYS, "can_use_private_threads");
            moderates |= says_yes(r->roles[i], PRIVATE_KEYS, "can_moderate_private_threads");
        }
    }
    return uses && (is_member(t, u, thread) || (moderates && thread->is_reported));
}

static bool sees_private_040(struct rights *r, const struct user *u, const struct thread *thread)
{
    const struct tables *t = r->t;
    bool uses = false;

    for (size_t i = 0; i < t->groups_count; i++) {
        if (!list_has(u->groups, t->groups[i].id)) {
            continue;
        }
        if (t->groups[i].private_threads == 2) {
            return false;
        }
        uses |= t->groups[i].private_threads == 1;
    }
    return uses && is_member(t, u, thread);
}

bool rights_sees_private(struct rights *r, const struct user *u, const struct thread *thread)
{
    return r->t->is_040 ? sees_private_040(r, u, thread) : sees_private_039(r, u, thread);
}
