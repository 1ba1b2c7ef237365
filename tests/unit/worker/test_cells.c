/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "worker/cells.h"

static int new_cells(void)
{
    int fd = -1;
    jobq_err err = {0};

    cr_assert_eq(cells_new(&fd, &err), JOBQ_OK, "%s", err.msg);
    return fd;
}

Test(cells, are_the_same_words_in_every_mapping)
{
    int fd = new_cells();
    struct cells *a = cells_map(dup(fd));
    struct cells *b = cells_map(fd);

    cr_assert(a != NULL && b != NULL && a != b);
    _Atomic uint64_t *one = cells_find(a, "mail.rate");
    cr_assert_eq(*one, 0);
    *one = 7;
    cr_assert_eq(*cells_find(b, "mail.rate"), 7);
    cr_assert(cells_find(a, "mail.rate") == one);
    cr_assert(cells_find(a, "mail.rat") != one);
    cr_assert_eq(*cells_find(b, "mail.rat"), 0);
}

Test(cells, are_64_and_then_no_more)
{
    struct cells *c = cells_map(new_cells());
    char name[16];

    for (unsigned i = 0; i < CELLS_COUNT; i++) {
        snprintf(name, sizeof(name), "name %u", i);
        _Atomic uint64_t *cell = cells_find(c, name);
        cr_assert(cell != NULL);
        cr_assert_eq(*cell, 0, "%s has a word that another has", name);
        *cell = i + 1;
    }
    cr_assert(cells_find(c, "one more") == NULL);
    for (unsigned i = 0; i < CELLS_COUNT; i++) {
        snprintf(name, sizeof(name), "name %u", i);
        cr_assert_eq(*cells_find(c, name), i + 1);
    }
}

Test(cells, cannot_be_cut_off_by_one_who_has_them)
{
    int fd = new_cells();

    cr_assert_neq(ftruncate(fd, 0), 0);
    cr_assert_eq(errno, EPERM);
    close(fd);
}

Test(cells, are_not_there_where_nobody_gave_them)
{
    int other = memfd_create("other", MFD_CLOEXEC);

    cr_assert_eq(ftruncate(other, sizeof(struct cells)), 0);
    cr_assert_null((void *)cells_map(other), "not sealed");
    cr_assert_eq(fcntl(other, F_GETFD), -1, "it is closed");
    cr_assert_null((void *)cells_map(open("/dev/null", O_RDWR | O_CLOEXEC)));
    cr_assert_null((void *)cells_map(1023));
}
