/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "tests/support/support.h"
#include "worker/identity.h"

static const char *dir; /* of this test alone */
static char state[256];

static void make_dir(void)
{
    dir = tmp_dir();
    snprintf(state, sizeof(state), "%s/one.state", dir);
}

TestSuite(identity, .init = make_dir);

static struct identity *must_open(char *predecessor, size_t size)
{
    struct identity *id = NULL;
    jobq_err err;
    cr_assert_eq(identity_open(dir, "one", &id, predecessor, size, &err), JOBQ_OK, "%s", err.msg);
    return id;
}

static void new_name(struct identity *id, char name[128])
{
    jobq_err err;
    cr_assert_eq(identity_new_name(id, name, 128, &err), JOBQ_OK, "%s", err.msg);
}

static void write_state(const char *text)
{
    FILE *f = fopen(state, "w");
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
}

Test(identity, finds_no_predecessor_at_first)
{
    char predecessor[128] = "x", name[128];
    struct identity *id = must_open(predecessor, sizeof(predecessor));
    cr_assert_str_empty(predecessor);
    new_name(id, name);
    cr_assert_lt(strlen(name), 128);
    for (const char *p = name; *p; p++)
        cr_assert(strchr("abcdefghijklmnopqrstuvwxyz0123456789.-", *p), "%s", name);
    char pid[32];
    snprintf(pid, sizeof(pid), "-%d-", (int)getpid());
    cr_assert_not_null(strstr(name, pid));
    identity_close(id);
    identity_close(NULL);
}

Test(identity, never_gives_a_name_twice)
{
    char predecessor[128], names[200][128];
    struct identity *id = must_open(predecessor, sizeof(predecessor));
    for (size_t i = 0; i < 200; i++) {
        new_name(id, names[i]);
        for (size_t k = 0; k < i; k++)
            cr_assert_str_neq(names[i], names[k]);
    }
    identity_close(id);
}

Test(identity, names_the_incarnation_that_ended_without_a_word)
{
    char predecessor[128], first[128], second[128];
    struct identity *id = must_open(predecessor, sizeof(predecessor));
    new_name(id, first);
    new_name(id, second);
    identity_close(id);
    id = must_open(predecessor, sizeof(predecessor));
    cr_assert_str_eq(predecessor, second, "the last one of it");
    identity_close(id);
}

Test(identity, names_nobody_who_left_in_order)
{
    char predecessor[128], name[128];
    struct identity *id = must_open(predecessor, sizeof(predecessor));
    new_name(id, name);
    identity_forget(id);
    identity_close(id);
    id = must_open(predecessor, sizeof(predecessor));
    cr_assert_str_empty(predecessor);
    new_name(id, name);
    identity_close(id);
    id = must_open(predecessor, sizeof(predecessor));
    cr_assert_str_eq(predecessor, name);
    identity_close(id);
}

Test(identity, is_nobodys_while_another_lives)
{
    char predecessor[128] = "x";
    struct identity *id = must_open(predecessor, sizeof(predecessor)), *second = NULL;
    jobq_err err;
    cr_assert_eq(identity_open(dir, "one", &second, predecessor, sizeof(predecessor), &err),
                 JOBQ_ECONFIG);
    cr_assert_null(second);
    cr_assert_not_null(strstr(err.msg, "--instance"), "%s", err.msg);
    identity_close(id);
    id = must_open(predecessor, sizeof(predecessor));
    identity_close(id);
}

Test(identity, is_free_as_soon_as_its_process_is_killed)
{
    char predecessor[128];
    int ready[2], status;
    cr_assert_eq(pipe(ready), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        struct identity *id = NULL;
        char name[128];
        jobq_err err;
        if (identity_open(dir, "one", &id, predecessor, sizeof(predecessor), &err) ||
            identity_new_name(id, name, sizeof(name), &err) || write(ready[1], name, 128) != 128)
            _exit(1);
        for (;;)
            pause();
    }
    char name[128];
    cr_assert_eq(read(ready[0], name, sizeof(name)), 128);
    kill(child, SIGKILL);
    cr_assert_eq(waitpid(child, &status, 0), child);
    struct identity *id = must_open(predecessor, sizeof(predecessor));
    cr_assert_str_eq(predecessor, name);
    identity_close(id);
}

static void word_of(const char *path, char *out, size_t size)
{
    FILE *f = fopen(path, "r");
    snprintf(out, size, "none");
    if (!f)
        return;
    char text[256] = "";
    if (fgets(text, sizeof(text), f) && strcspn(text, " \t\r\n"))
        snprintf(out, size, "%.*s", (int)strcspn(text, " \t\r\n"), text);
    fclose(f);
}

/* Whose file it is, only this machine in this boot can tell. */
Test(identity, distrusts_a_file_of_another_machine_or_boot)
{
    char machine[64], boot[64], line[300], predecessor[128];
    word_of("/etc/machine-id", machine, sizeof(machine));
    word_of("/proc/sys/kernel/random/boot_id", boot, sizeof(boot));
    static const char *const bad[] = {"", "\n", "one", "one two", "elsewhere boot h-b-1-1\n"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        write_state(bad[i]);
        struct identity *id = must_open(predecessor, sizeof(predecessor));
        cr_assert_str_empty(predecessor);
        identity_close(id);
    }
    snprintf(line, sizeof(line), "elsewhere %s h-b-1-1\n", boot);
    write_state(line);
    struct identity *id = must_open(predecessor, sizeof(predecessor));
    cr_assert_str_empty(predecessor);
    identity_close(id);
    snprintf(line, sizeof(line), "%s another-boot h-b-1-1\n", machine);
    write_state(line);
    id = must_open(predecessor, sizeof(predecessor));
    cr_assert_str_empty(predecessor);
    identity_close(id);
    snprintf(line, sizeof(line), "%s %s h-b-1-1\n", machine, boot);
    write_state(line);
    id = must_open(predecessor, sizeof(predecessor));
    cr_assert_str_eq(predecessor, "h-b-1-1");
    identity_close(id);
}

Test(identity, survives_garbage_in_its_file)
{
    char predecessor[16];
    FILE *f = fopen(state, "w");
    cr_assert_not_null(f);
    for (int i = 0; i < 100000; i++)
        fputc(i * 7919 % 256, f);
    fclose(f);
    struct identity *id = must_open(predecessor, sizeof(predecessor));
    cr_assert_str_empty(predecessor);
    char name[128];
    new_name(id, name);
    struct stat st;
    cr_assert_eq(stat(state, &st), 0);
    cr_assert_lt(st.st_size, 512, "nothing of the old text is left behind the new");
    identity_close(id);
}

Test(identity, follows_no_link_and_says_what_is_wrong_with_the_directory)
{
    char predecessor[128], path[192];
    struct identity *id = NULL;
    jobq_err err;
    cr_assert_eq(symlink("/dev/null", state), 0);
    cr_assert_eq(identity_open(dir, "one", &id, predecessor, sizeof(predecessor), &err),
                 JOBQ_ECONFIG);
    unlink(state);
    snprintf(path, sizeof(path), "%s/missing/deeper", dir);
    cr_assert_eq(identity_open(path, "one", &id, predecessor, sizeof(predecessor), &err),
                 JOBQ_ECONFIG);
    cr_assert_not_null(strstr(err.msg, "--state-dir"), "%s", err.msg);
    write_state("");
    cr_assert_eq(identity_open(state, "one", &id, predecessor, sizeof(predecessor), &err),
                 JOBQ_ECONFIG);
    cr_assert_null(id);
    char *far = malloc(5001);
    cr_assert_not_null(far);
    memset(far, 'x', 5000);
    far[5000] = '\0';
    cr_assert_eq(identity_open(dir, far, &id, predecessor, sizeof(predecessor), &err),
                 JOBQ_ECONFIG);
    free(far);
    mem_fail_at(1, 0);
    cr_assert_eq(identity_open(dir, "one", &id, predecessor, sizeof(predecessor), &err),
                 JOBQ_ENOMEM);
    mem_fail_at(0, 0);
}

Test(identity, has_a_name_even_where_it_cannot_be_written_down)
{
    struct identity *id = NULL;
    char predecessor[128], name[128] = "";
    jobq_err err = {0};

    cr_assert_eq(identity_open(dir, "full", &id, predecessor, sizeof(predecessor), &err), JOBQ_OK);
    /* No file may grow: what a full disk looks like. */
    struct rlimit none = {0, 0};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &none);
    cr_assert_eq(identity_new_name(id, name, sizeof(name), &err), JOBQ_ESTATE);
    cr_assert_gt(strlen(name), 20u);
    identity_close(id);
}
