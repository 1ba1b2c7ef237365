/* SPDX-License-Identifier: MIT */
/* judge: see judge.h. */
#include "tests/integration/recipients/judge.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/recipients/judge_rights.h"
#include "tests/integration/recipients/judge_tables.h"

struct judge {
    struct tables tables;
    struct rights *rights;
    signed char *banned; /* by index of user: -1 not looked up yet */
    size_t *thread_at;   /* by index of thread: its first post */
    size_t *watch_at;    /* and its first watch */
    long long *post_ids; /* ascending */
    size_t *post_at;     /* where each of them stands among the posts */
    struct told *told;   /* of the last answer */
};

static void *need(size_t count, size_t size)
{
    void *memory = calloc(count + 1, size);

    if (!memory) {
        abort();
    }
    return memory;
}

struct place {
    long long id;
    size_t at;
};

static int compare_place(const void *a, const void *b)
{
    long long x = ((const struct place *)a)->id;
    long long y = ((const struct place *)b)->id;

    return (x > y) - (x < y);
}

static void index_posts(struct judge *j)
{
    const struct tables *t = &j->tables;
    struct place *places = need(t->posts_count, sizeof(*places));

    j->post_ids = need(t->posts_count, sizeof(*j->post_ids));
    j->post_at = need(t->posts_count, sizeof(*j->post_at));
    for (size_t i = 0; i < t->posts_count; i++) {
        places[i] = (struct place){t->posts[i].id, i};
    }
    qsort(places, t->posts_count, sizeof(*places), compare_place);
    for (size_t i = 0; i < t->posts_count; i++) {
        j->post_ids[i] = places[i].id;
        j->post_at[i] = places[i].at;
    }
    free(places);
}

static void index_threads(struct judge *j)
{
    const struct tables *t = &j->tables;
    size_t post = 0;
    size_t watch = 0;

    j->thread_at = need(t->threads_count, sizeof(*j->thread_at));
    j->watch_at = need(t->threads_count, sizeof(*j->watch_at));
    for (size_t i = 0; i < t->threads_count; i++) {
        while (post < t->posts_count && t->posts[post].thread_id < t->threads[i].id) {
            post++;
        }
        while (watch < t->watches_count && t->watches[watch].thread_id < t->threads[i].id) {
            watch++;
        }
        j->thread_at[i] = post;
        j->watch_at[i] = watch;
    }
}

struct judge *judge_open(PGconn *conn)
{
    struct judge *j = need(1, sizeof(*j));

    tables_read(&j->tables, conn);
    j->rights = rights_open(&j->tables);
    j->banned = need(j->tables.users_count, 1);
    memset(j->banned, -1, j->tables.users_count);
    j->told = need(j->tables.users_count, sizeof(*j->told));
    index_posts(j);
    index_threads(j);
    return j;
}

void judge_close(struct judge *j)
{
    rights_close(j->rights);
    tables_free(&j->tables);
    free(j->banned);
    free(j->thread_at);
    free(j->watch_at);
    free(j->post_ids);
    free(j->post_at);
    free(j->told);
    free(j);
}

const long long *judge_posts(const struct judge *j, size_t *count)
{
    *count = j->tables.posts_count;
    return j->post_ids;
}

/* ---- bans ---- */

/* '*' stands for anything, also for nothing; all else for itself in lower case. */
static bool fits(const char *pattern, const char *text)
{
    if (*pattern == '*') {
        return fits(pattern + 1, text) || (*text && fits(pattern, text + 1));
    }
    if (*pattern == '\0' || *text == '\0') {
        return *pattern == *text;
    }
    return *pattern == tolower((unsigned char)*text) && fits(pattern + 1, text + 1);
}

static bool is_banned_now(const struct tables *t, const struct user *u)
{
    for (size_t i = 0; i < t->bans_count; i++) {
        const struct ban *b = &t->bans[i];

        if (b->is_over || b->is_for_registration) {
            continue;
        }
        if ((b->type == 0 && fits(b->value, u->name)) ||
            (b->type == 1 && fits(b->value, u->email))) {
            return true;
        }
    }
    return false;
}

/* What the forum remembers counts as long as it is of this version of the bans and not over. */
static bool look_up_ban(const struct tables *t, const struct user *u)
{
    for (size_t i = 0; i < t->bancaches_count; i++) {
        const struct bancache *c = &t->bancaches[i];

        if (c->user_id == u->id) {
            if (strcmp(c->version, t->ban_version) == 0 && !c->is_over) {
                return c->is_banned;
            }
            break;
        }
    }
    return is_banned_now(t, u);
}

static bool is_banned(struct judge *j, const struct user *u)
{
    signed char *known = &j->banned[u - j->tables.users];

    if (*known < 0) {
        *known = (signed char)look_up_ban(&j->tables, u);
    }
    return *known == 1;
}

/* ---- one watcher ---- */

static bool sees_thread(const struct judge *j, const struct place_rights *may, const struct user *u,
                        const struct category *c, const struct thread *thread)
{
    bool is_own = thread->starter_id == u->id;

    if (!may->enter) {
        return false;
    }
    if (j->tables.is_040) {
        return may->moderate || (!thread->is_hidden && (!thread->is_unapproved || is_own) &&
                                 (!c->shows_started_only || thread->is_pinned || is_own));
    }
    if (thread->is_hidden && !may->hide_threads) {
        return false;
    }
    return is_own || (may->see_all_threads && (!thread->is_unapproved || may->approve));
}

static bool sees_post(const struct judge *j, const struct place_rights *may, const struct user *u,
                      const struct post *p)
{
    bool is_own = p->poster_id == u->id;

    if (j->tables.is_040) {
        return may->moderate || ((!p->is_unapproved || is_own) && !p->is_hidden);
    }
    if (p->is_event) {
        return !p->is_hidden || may->hide_events;
    }
    return !p->is_unapproved || is_own || may->approve;
}

/* An earlier post is there to be read although one would not be told of it: a hidden one, in 0.40.
 */
static bool may_read(const struct judge *j, const struct place_rights *may, const struct post *p)
{
    if (p->is_unapproved && !(j->tables.is_040 ? may->moderate : may->approve)) {
        return false;
    }
    return !p->is_event || !p->is_hidden || may->hide_events;
}

/* may: NULL in a private thread, where everything is there to be read. */
static bool has_other_to_read(const struct judge *j, const struct place_rights *may,
                              const struct watch *w, const struct thread *thread,
                              const struct post *p)
{
    const struct tables *t = &j->tables;

    for (size_t i = j->thread_at[thread - t->threads]; &t->posts[i] < p; i++) {
        const struct post *other = &t->posts[i];

        if (other->posted_at > w->read_at && other->poster_id != w->user_id &&
            (!may || may_read(j, may, other))) {
            return true;
        }
    }
    return false;
}

static bool is_to_be_told(struct judge *j, const struct watch *w, const struct user *u,
                          const struct thread *thread, const struct post *p)
{
    const struct category *c = tables_category(&j->tables, p->category_id);
    const struct place_rights *may;

    if (u->id == p->poster_id || !u->is_active || is_banned(j, u) || !c) {
        return false;
    }
    if (rights_is_private(j->rights, c)) {
        return rights_sees_private(j->rights, u, thread) &&
               !has_other_to_read(j, NULL, w, thread, p);
    }
    may = rights_in(j->rights, u, c);
    return sees_thread(j, may, u, c, thread) && sees_post(j, may, u, p) &&
           !has_other_to_read(j, may, w, thread, p);
}

static const struct post *find_post(const struct judge *j, long long id)
{
    size_t low = 0;
    size_t high = j->tables.posts_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (j->post_ids[middle] < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < j->tables.posts_count && j->post_ids[low] == id ? &j->tables.posts[j->post_at[low]]
                                                                 : NULL;
}

const struct told *judge_post(struct judge *j, long long post_id, size_t *count)
{
    const struct tables *t = &j->tables;
    const struct post *p = find_post(j, post_id);
    const struct thread *thread = p ? tables_thread(t, p->thread_id) : NULL;
    size_t i = thread ? j->watch_at[thread - t->threads] : t->watches_count;

    *count = 0;
    while (i < t->watches_count && t->watches[i].thread_id == thread->id) {
        const struct user *u = tables_user(t, t->watches[i].user_id);
        long long user_id = t->watches[i].user_id;
        bool is_told = false;
        bool send_emails = false;

        for (; i < t->watches_count && t->watches[i].thread_id == thread->id &&
               t->watches[i].user_id == user_id;
             i++) {
            is_told |= u && is_to_be_told(j, &t->watches[i], u, thread, p);
            send_emails |= t->watches[i].send_emails;
        }
        if (is_told) {
            j->told[(*count)++] = (struct told){.user_id = user_id, .send_emails = send_emails};
        }
    }
    return j->told;
}
