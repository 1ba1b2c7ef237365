/* SPDX-License-Identifier: MIT */
/*
 * modules: handler modules, opened with dlopen(), and the types they serve. See modules.h. Single
 * thread.
 */
#include "worker/executor/modules.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <jobq/job.h>

#include "base/error.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"

#define SYMBOL "jobq_module_v1"

/* ---- one module ---- */

static int bad_module(jobq_err *err, const char *path, const char *what)
{
    return error_set(err, JOBQ_ECONFIG, "module %s: %s", path, what);
}

/* What the loader said, without the path it often begins with: room is short. */
static const char *loader_text(const char *path)
{
    const char *text = dlerror();
    size_t len = strlen(path);

    if (text == NULL)
        return "cannot be opened";
    return strncmp(text, path, len) == 0 && strncmp(text + len, ": ", 2) == 0 ? text + len + 2
                                                                              : text;
}

static int find_symbol(const char *path, const jobq_module **out, jobq_err *err)
{
    void *handle, *symbol;

    if (path[0] != '/')
        return bad_module(err, path, "not an absolute path");
    if (access(path, R_OK) != 0)
        return bad_module(err, path, strerror(errno));
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL)
        return bad_module(err, path, loader_text(path));
    symbol = dlsym(handle, SYMBOL);
    if (symbol == NULL)
        return bad_module(err, path,
                          "no symbol " SYMBOL ": not a handler module, or of another version");
    *out = symbol;
    return JOBQ_OK;
}

static int check_handler(const char *path, const jobq_handler *h, jobq_err *err)
{
    unsigned both = JOBQ_HANDLER_TRANSACTIONAL | JOBQ_HANDLER_MANUAL;

    if (!text_is_name(h->type, strnlen(h->type, JOBQ_NAME_MAX + 1)))
        return error_set(err, JOBQ_ECONFIG,
                         "module %s: \"%.70s\" is no name of a type (1 to 64 of a-z 0-9 _ . : -)",
                         path, h->type);
    if (h->run == NULL)
        return error_set(err, JOBQ_ECONFIG, "module %s: type %s has no run function", path,
                         h->type);
    if ((h->flags & ~MODULES_ALL_FLAGS) != 0)
        return error_set(
            err, JOBQ_ECONFIG,
            "module %s: type %s has flags this jobq does not know (0x%x): built for a newer one?",
            path, h->type, h->flags & ~MODULES_ALL_FLAGS);
    if ((h->flags & both) == both)
        return error_set(err, JOBQ_ECONFIG,
                         "module %s: type %s is flagged transactional and manual", path, h->type);
    return JOBQ_OK;
}

static int check_module(const char *path, const jobq_module *abi, size_t *handlers, jobq_err *err)
{
    if (abi->size < sizeof(*abi))
        return error_set(err, JOBQ_ECONFIG,
                         "module %s: size %zu of " SYMBOL
                         " is smaller than %zu: not sizeof(jobq_module)",
                         path, abi->size, sizeof(*abi));
    if (abi->name == NULL || abi->name[0] == '\0')
        return bad_module(err, path, "it has no name");
    if (abi->handlers == NULL || abi->handlers[0].type == NULL)
        return bad_module(err, path, "it serves no type");
    for (*handlers = 0; abi->handlers[*handlers].type != NULL; (*handlers)++) {
        int rc = check_handler(path, &abi->handlers[*handlers], err);

        if (rc != JOBQ_OK)
            return rc;
    }
    return JOBQ_OK;
}

/* ---- all of them ---- */

static int add_type(struct modules *m, const struct module *owner, const jobq_handler *h,
                    jobq_err *err)
{
    struct handler *new = &m->handlers[m->handler_count];
    const struct handler *other = modules_find(m, h->type, strlen(h->type));

    if (other != NULL)
        return error_set(err, JOBQ_ECONFIG, "module %s: type %s is already served by %s",
                         owner->path, h->type, other->module->path);
    *new = (struct handler){.type = h->type, .run = h->run, .flags = h->flags, .module = owner};
    if ((h->flags & (JOBQ_HANDLER_TRANSACTIONAL | JOBQ_HANDLER_MANUAL)) != 0)
        new->flags |= JOBQ_HANDLER_PG;
    if (map_put(m->by_type, h->type, strlen(h->type), new) != JOBQ_OK)
        return error_set(err, JOBQ_ENOMEM, "no memory for the types");
    m->handler_count++;
    return JOBQ_OK;
}

static int add_types(struct modules *m, size_t total, jobq_err *err)
{
    m->by_type = map_new();
    /* Never moved afterwards: the map points into it. */
    m->handlers = mem_zalloc(total + 1, sizeof(*m->handlers));
    if (m->by_type == NULL || m->handlers == NULL)
        return error_set(err, JOBQ_ENOMEM, "no memory for the types");
    for (size_t i = 0; i < m->count; i++) {
        for (const jobq_handler *h = m->list[i].abi->handlers; h->type != NULL; h++) {
            int rc = add_type(m, &m->list[i], h, err);

            if (rc != JOBQ_OK)
                return rc;
        }
    }
    return JOBQ_OK;
}

int modules_open(struct modules *m, const char *const *paths, size_t n, jobq_err *err)
{
    size_t total = 0;

    *m = (struct modules){0};
    m->list = mem_zalloc(n + 1, sizeof(*m->list));
    if (m->list == NULL)
        return error_set(err, JOBQ_ENOMEM, "no memory for %zu modules", n);
    for (size_t i = 0; i < n; i++) {
        struct module *module = &m->list[i];
        size_t handlers = 0;
        int rc;

        module->path = mem_strdup(paths[i]);
        if (module->path == NULL)
            return error_set(err, JOBQ_ENOMEM, "no memory for %zu modules", n);
        m->count++;
        rc = find_symbol(paths[i], &module->abi, err);
        if (rc == JOBQ_OK)
            rc = check_module(paths[i], module->abi, &handlers, err);
        if (rc != JOBQ_OK)
            return rc;
        total += handlers;
    }
    return add_types(m, total, err);
}

int modules_start(struct modules *m, const jobq_host *host, const char *(*said)(void *ctx),
                  jobq_err *err)
{
    for (size_t i = 0; i < m->count; i++) {
        struct module *module = &m->list[i];
        const char *why;

        if (module->abi->start != NULL && module->abi->start(host, &module->state) != 0) {
            why = said(host->ctx);
            return error_set(err, JOBQ_ECONFIG, "module %s: start() failed: %s", module->path,
                             why[0] != '\0' ? why : "it logged no reason");
        }
        module->started = true;
    }
    return JOBQ_OK;
}

void modules_stop(struct modules *m)
{
    for (size_t i = m->count; i-- > 0;) {
        struct module *module = &m->list[i];

        if (module->started && module->abi->stop != NULL)
            module->abi->stop(module->state);
        module->started = false;
        module->state = NULL;
    }
}

void modules_done(struct modules *m)
{
    map_free(m->by_type);
    mem_free(m->handlers);
    for (size_t i = 0; i < m->count; i++)
        mem_free(m->list[i].path);
    mem_free(m->list);
    *m = (struct modules){0};
}

struct handler *modules_find(const struct modules *m, const char *type, size_t len)
{
    return map_get(m->by_type, type, len);
}

unsigned modules_flags(const struct modules *m)
{
    unsigned flags = 0;

    for (size_t i = 0; i < m->handler_count; i++)
        flags |= m->handlers[i].flags;
    return flags;
}
