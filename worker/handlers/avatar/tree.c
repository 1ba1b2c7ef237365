/* SPDX-License-Identifier: MIT */
/* tree: see tree.h. */
#include "worker/handlers/avatar/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/handlers/common/text.h"
#include "worker/handlers/common/utf8.h"

#define DEPTH_MAX 8 /* the forum's own are three deep */

/* A directory's names, sorted. Takes fd. A directory that cannot be read counts as empty: there is
   nothing in it that could be removed. */
static void read_names(int fd, struct list *names)
{
    DIR *d = fdopendir(fd);
    const struct dirent *entry;

    if (!d) {
        close(fd);
        return;
    }
    while ((entry = readdir(d)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            list_add(names, entry->d_name);
        }
    }
    closedir(d);
    list_sort(names);
}

/* Where the last step ended, seen from one directory. */
enum place { PLACE_DONE, PLACE_INSIDE, PLACE_AHEAD };

/* Whether a row could name what is there: what none can name, nobody made for one. */
static bool is_nameable(const char *path, const char *name)
{
    return strlen(path) + 1 + strlen(name) <= MEDIA_NAME_MAX && utf8_is_valid(name);
}

/* *after: the rest of the name below this directory, NULL: nothing is done yet. */
static enum place place_of(const char *name, const char *after, const char **inside)
{
    size_t len;
    int order;

    *inside = NULL;
    if (!after) {
        return PLACE_AHEAD;
    }
    len = strcspn(after, "/");
    order = strncmp(name, after, len);
    if (order == 0 && strlen(name) > len) {
        order = 1;
    }
    if (order != 0) {
        return order < 0 ? PLACE_DONE : PLACE_AHEAD;
    }
    if (after[len] == '\0') {
        return PLACE_DONE;
    }
    *inside = after + len + 1;
    return PLACE_INSIDE;
}

static void walk(struct tree *t, int fd, const char *path, const char *after, int depth);

static void look_at(struct tree *t, int fd, const char *name, const char *path, const char *inside,
                    int depth)
{
    struct stat st;
    bool is_old;
    int next;

    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return; /* gone meanwhile */
    }
    t->looked++;
    is_old = st.st_mtim.tv_sec < t->before;
    if (S_ISREG(st.st_mode) && is_old) {
        list_add(&t->files, path);
    } else if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX) {
        if (is_old) {
            list_add(&t->directories, path);
        }
        next = media_open_one(fd, name, O_RDONLY | O_DIRECTORY, 0);
        if (next >= 0) {
            walk(t, next, path, inside, depth + 1);
        }
    }
}

static bool is_enough(const struct tree *t)
{
    return t->looked >= t->look_max || t->files.count >= t->file_max || t->should_stop(t->ctx);
}

/* Takes fd. */
static void walk(struct tree *t, int fd, const char *path, const char *after, int depth)
{
    struct list names = {0};
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

    if (copy >= 0) {
        read_names(copy, &names);
    }
    t->files.failed |= names.failed;
    for (size_t i = 0; i < names.count && !t->is_cut; i++) {
        char entry[MEDIA_NAME_MAX + 1];
        const char *inside;
        enum place place = place_of(names.names[i], after, &inside);
        if (place == PLACE_DONE || !is_nameable(path, names.names[i])) {
            continue;
        }
        if (is_enough(t)) {
            t->is_cut = true;
            break;
        }
        text_format(entry, sizeof(entry), "%s/%s", path, names.names[i]);
        look_at(t, fd, names.names[i], entry, inside, depth);
        if (!t->is_cut) {
            text_format(t->at, sizeof(t->at), "%s", entry);
        }
    }
    list_done(&names);
    close(fd);
}

int tree_walk(struct tree *t, const struct media *m, const char *directory, const char *after,
              struct media_fault *fault)
{
    size_t len = strlen(directory);
    const char *rest = NULL;
    int fd;

    if (media_directory(m, directory, false, &fd, fault) < 0) {
        return fault->kind == MEDIA_MISSING ? 0 : -1;
    }
    if (strncmp(after, directory, len) == 0 && after[len] == '/') {
        rest = after + len + 1;
    }
    walk(t, fd, directory, rest, 0);
    return 0;
}

void tree_done(struct tree *t)
{
    list_done(&t->files);
    list_done(&t->directories);
}
