/* SPDX-License-Identifier: MIT */
/* The walk over avatars/: in steps of any length it tells every old entry once and no fresh one. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/support.h"
#include "worker/handlers/avatar/tree.h"

#define NOW 1000000000 /* long ago: what the test itself makes is fresh */
#define OLD (NOW - 90000)
#define FRESH (NOW - 80000)

static struct media m;

static void set_time(const char *name, long long seconds)
{
    struct timespec t = {.tv_sec = (time_t)seconds};
    const struct timespec times[2] = {t, t};

    cr_assert_eq(utimensat(m.root, name, times, AT_SYMLINK_NOFOLLOW), 0, "%s", name);
}

static void make(const char *name, long long seconds)
{
    struct media_fault fault;
    char directory[MEDIA_NAME_MAX + 1];
    int fd = -1;

    snprintf(directory, sizeof(directory), "%s", name);
    *strrchr(directory, '/') = '\0';
    cr_assert_eq(media_directory(&m, directory, true, &fd, &fault), 0, "%s", fault.text);
    cr_assert_eq(media_put(fd, strrchr(name, '/') + 1, (const uint8_t *)"x", 1, &fault), 0);
    close(fd);
    set_time(name, seconds);
}

/* Names that sort otherwise when a slash counts as a character. */
static const char *const old[] = {
    "avatars/00/1/a",   "avatars/00/1/b",   "avatars/00-x/c",    "avatars/00.png",
    "avatars/a/.x.tmp", "avatars/ab/c/d/e", "avatars/ab/c-/d",   "avatars/ab/c/z",
    "avatars/ab0",      "avatars/b/\"q\\",  "avatars/b/ä/ö.png",
};

static bool never(void *ctx)
{
    (void)ctx;
    return false;
}

static void build(void)
{
    struct media_fault fault;

    mkdir(fmt("%s/root", tmp_dir()), 0755);
    cr_assert_eq(media_open(fmt("%s/root", tmp_dir()), &m, &fault), 0);
    for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++) {
        make(old[i], OLD);
    }
    make("avatars/ab/c/fresh", FRESH);
    make("avatars/zz/fresh", FRESH);
    make("elsewhere/file", OLD);
    cr_assert_eq(symlinkat("/etc", m.root, "avatars/ab/link"), 0);
    set_time("avatars/ab/link", OLD);
}

static size_t walk(size_t look_max, size_t file_max, struct list *files)
{
    char after[MEDIA_NAME_MAX + 1] = "";
    size_t steps = 0;
    bool more = true;

    while (more) {
        struct media_fault fault;
        struct tree t = {.look_max = look_max,
                         .file_max = file_max,
                         .before = NOW - 86400,
                         .should_stop = never};
        cr_assert_eq(tree_walk(&t, &m, "avatars", after, &fault), 0);
        cr_assert_leq(t.files.count, file_max);
        for (size_t i = 0; i < t.files.count; i++) {
            cr_assert_not(list_has(files, t.files.names[i]), "%s twice", t.files.names[i]);
            list_add(files, t.files.names[i]);
        }
        more = t.is_cut;
        snprintf(after, sizeof(after), "%s", t.at);
        tree_done(&t);
        cr_assert_lt(++steps, 200, "no end, at %s", after);
    }
    return steps;
}

Test(tree, tells_each_old_file_once_however_short_the_steps)
{
    build();
    for (size_t look = 4; look < 40; look++) {
        for (size_t count = 1; count < 13; count += 3) {
            struct list files = {0};
            size_t steps = walk(look, count, &files);
            cr_assert_eq(files.count, sizeof(old) / sizeof(old[0]), "%zu, %zu: %zu files", look,
                         count, files.count);
            for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++) {
                cr_assert(list_has(&files, old[i]), "%s", old[i]);
            }
            cr_assert(steps > 1 || (look > 13 && count > 3));
            list_done(&files);
        }
    }
}

Test(tree, tells_directories_before_what_is_in_them)
{
    struct media_fault fault;
    struct tree t = {
        .look_max = 1000, .file_max = 1000, .before = NOW - 86400, .should_stop = never};

    build();
    set_time("avatars/ab/c/d", OLD);
    set_time("avatars/ab/c", OLD);
    set_time("avatars/ab", FRESH);
    cr_assert_eq(tree_walk(&t, &m, "avatars", "", &fault), 0);
    cr_assert_eq(t.directories.count, 2);
    cr_assert_str_eq(t.directories.names[0], "avatars/ab/c");
    cr_assert_str_eq(t.directories.names[1], "avatars/ab/c/d");
    tree_done(&t);
    cr_assert_eq(tree_walk(&t, &m, "nowhere", "", &fault), 0, "a tree that is not there is empty");
    tree_done(&t);
}

Test(tree, writes_names_as_an_array_of_postgresql)
{
    struct list l = {0};
    char *text;

    list_add(&l, "b");
    list_add(&l, "a\"\\,{}");
    list_sort(&l);
    text = list_array(&l);
    cr_assert_str_eq(text, "{\"a\\\"\\\\,{}\",\"b\"}");
    free(text);
    list_done(&l);
    text = list_array(&l);
    cr_assert_str_eq(text, "{}");
    free(text);
}
