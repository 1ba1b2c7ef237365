/* SPDX-License-Identifier: MIT */
/* No name leads out of the media root: not by its words, not by links, not while these are
   swapped; with openat2() and on systems that have none. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <jobq/handler.h>

#include "tests/support/support.h"
#include "worker/handlers/avatar/media.h"

static struct media m;

static const char *at(const char *name)
{
    return fmt("%s/%s", tmp_dir(), name);
}

/* root/avatars/a/b/file inside; outside/secret outside; links from one to the other. */
static void build(void)
{
    struct media_fault fault;

    mkdir(at("root"), 0755);
    mkdir(at("root/avatars"), 0755);
    mkdir(at("root/avatars/a"), 0755);
    mkdir(at("root/avatars/a/b"), 0755);
    mkdir(at("outside"), 0755);
    mkdir(at("outside/b"), 0755);
    write_file(at("root/avatars/a/b/file"), "inside");
    write_file(at("outside/secret"), "secret");
    write_file(at("outside/b/file"), "secret");
    cr_assert_eq(symlink("../../../outside", at("root/avatars/a/way")), 0);
    cr_assert_eq(symlink("/etc", at("root/avatars/a/etc")), 0);
    cr_assert_eq(symlink("../../../../outside/secret", at("root/avatars/a/b/link")), 0);
    cr_assert_eq(symlink("file", at("root/avatars/a/b/near")), 0);
    cr_assert_eq(mkfifo(at("root/avatars/a/b/fifo"), 0644), 0);
    cr_assert_eq(media_open(at("root"), &m, &fault), 0, "%s", fault.text);
}

static void must_be_shut(const char *name)
{
    struct media_fault fault = {0};
    uint8_t *bytes = NULL;
    size_t len = 0;
    int fd = -1;

    cr_assert_eq(media_read(&m, name, 1000, &bytes, &len, &fault), -1, "read %s", name);
    cr_assert_eq(fault.kind, MEDIA_BAD, "%s: %s", name, fault.text);
    cr_assert_eq(media_verdict(&fault), JOBQ_DEAD);
    cr_assert_not(media_exists(&m, name), "%s", name);
    cr_assert_eq(media_directory(&m, name, true, &fd, &fault), -1, "make %s", name);
}

static const char *const shut[] = {
    "",
    "/",
    "/etc/passwd",
    "..",
    "../outside/secret",
    "avatars/../../outside/secret",
    ".",
    "avatars/./a/b/file",
    "avatars//a/b/file",
    "avatars/a/b/file/",
    "avatars/a/way/secret",
    "avatars/a/etc/passwd",
    "avatars/a/b/link",
    "avatars/a/b/near",
    "avatars/a/b/fifo",
    "avatars/a/b/file/x",
    "avatars/a/../a/b/file",
    "../root/avatars/a/b/file",
};

static void must_keep_inside(void)
{
    struct media_fault fault;
    uint8_t *bytes = NULL;
    size_t len = 0;

    for (size_t i = 0; i < sizeof(shut) / sizeof(shut[0]); i++) {
        must_be_shut(shut[i]);
    }
    must_be_shut(fmt("avatars/%0300d", 1));
    cr_assert_eq(media_read(&m, "avatars/a/b/file", 6, &bytes, &len, &fault), 0, "%s", fault.text);
    cr_assert(len == 6 && memcmp(bytes, "inside", 6) == 0);
    free(bytes);
    cr_assert_eq(media_remove(&m, "avatars/a/way/secret", &fault), -1);
    cr_assert_eq(fault.kind, MEDIA_BAD);
    cr_assert_eq(media_remove(&m, "avatars/a/b/link", &fault), 0, "a link itself goes");
    cr_assert_eq(access(at("outside/secret"), F_OK), 0);
    cr_assert_eq(symlink("../../../../outside/secret", at("root/avatars/a/b/link")), 0);
}

Test(media, keeps_every_name_below_its_root)
{
    build();
    must_keep_inside();
}

/* openat2() answers that there is no such call, as Linux before 5.6 and some filters do. */
static void take_openat2_away(int number)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)number),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0, "%s", strerror(errno));
    cr_assert(syscall(SYS_openat2, AT_FDCWD, ".", NULL, 0) == -1 && errno == number);
}

Test(media, keeps_every_name_below_its_root_without_openat2)
{
    build();
    take_openat2_away(ENOSYS);
    must_keep_inside();
}

Test(media, keeps_every_name_below_its_root_where_openat2_is_forbidden)
{
    build();
    take_openat2_away(EPERM);
    must_keep_inside();
}

static atomic_bool stop;

/* What the name is, a directory or a link to the one outside, changes all the time. */
static void *swap(void *ctx)
{
    (void)ctx;
    while (!stop) {
        renameat2(m.root, "avatars/a", m.root, "avatars/other", RENAME_EXCHANGE);
    }
    return NULL;
}

Test(media, is_not_led_out_while_directories_are_swapped_for_links)
{
    pthread_t thread;
    size_t read = 0;
    size_t refused = 0;

    build();
    cr_assert_eq(symlink("../../outside", at("root/avatars/other")), 0);
    cr_assert_eq(pthread_create(&thread, NULL, swap, NULL), 0);
    for (int i = 0; i < 200000 && (i < 5000 || read < 50 || refused < 50); i++) {
        struct media_fault fault;
        uint8_t *bytes = NULL;
        size_t len = 0;
        if (media_read(&m, "avatars/a/b/file", 6, &bytes, &len, &fault) == 0) {
            cr_assert(len == 6 && memcmp(bytes, "inside", 6) == 0, "read what is outside");
            read++;
        } else {
            refused++;
        }
        free(bytes);
        (void)media_remove(&m, "avatars/a/secret", &fault);
    }
    stop = true;
    pthread_join(thread, NULL);
    cr_assert(read > 0 && refused > 0, "%zu read, %zu refused: nothing was swapped", read, refused);
    cr_assert_eq(access(at("outside/secret"), F_OK), 0);
}

Test(media, refuses_what_is_too_large_and_tells_what_is_missing)
{
    struct media_fault fault;
    uint8_t *bytes = NULL;
    size_t len = 0;

    build();
    cr_assert_eq(media_read(&m, "avatars/a/b/file", 5, &bytes, &len, &fault), -1);
    cr_assert(strstr(fault.text, "has 6 bytes, at most 5 are taken"), "%s", fault.text);
    cr_assert_eq(media_read(&m, "avatars/x/b/file", 5, &bytes, &len, &fault), -1);
    cr_assert_eq(fault.kind, MEDIA_MISSING, "%s", fault.text);
    cr_assert_eq(media_read(&m, "avatars/a/b", 5, &bytes, &len, &fault), -1);
    cr_assert_eq(fault.kind, MEDIA_BAD, "%s", fault.text);
    cr_assert_eq(media_remove(&m, "avatars/x/y/z", &fault), 0, "what is not there is removed");
    cr_assert_null(bytes);
}

Test(media, writes_whole_files_with_the_modes_of_the_forum)
{
    struct media_fault fault;
    struct stat st;
    int fd = -1;

    build();
    umask(027);
    cr_assert_eq(media_directory(&m, "avatars/n/e/w", true, &fd, &fault), 0, "%s", fault.text);
    cr_assert_eq(media_put(fd, "one", (const uint8_t *)"abc", 3, &fault), 0, "%s", fault.text);
    cr_assert_eq(media_put(fd, "one", (const uint8_t *)"abcd", 4, &fault), 0, "%s", fault.text);
    cr_assert_eq(media_sync(fd, &fault), 0);
    close(fd);
    cr_assert(media_has(&m, "avatars/n/e/w/one", 4));
    cr_assert_not(media_has(&m, "avatars/n/e/w/one", 3));
    cr_assert_eq(stat(at("root/avatars/n/e/w/one"), &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0640);
    cr_assert_eq(stat(at("root/avatars/n/e"), &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0750);
    media_remove_directory(&m, "avatars/n/e/w");
    cr_assert(media_exists(&m, "avatars/n/e/w/one"), "a directory that is not empty stays");
}

Test(media, waits_for_a_root_that_is_not_there)
{
    struct media_fault fault;
    struct media other;

    cr_assert_eq(media_open(at("nowhere"), &other, &fault), -1);
    cr_assert_eq(media_verdict(&fault), JOBQ_SNOOZE);
    cr_assert(strstr(fault.text, "nowhere: No such file or directory"), "%s", fault.text);
}
