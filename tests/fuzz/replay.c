/* SPDX-License-Identifier: MIT */
/*
 * replay: runs a fuzz target once over every file of the directories named, where libFuzzer is not
 * wanted.
 *
 * Each input is also given cut short at every length, up to a limit: that costs nothing and finds
 * reads past the end. Fails when there is no input at all. Single thread.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LONGEST_CUT 2048

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int count;

/* A copy of exactly this size, so that a sanitizer sees a read past its end. */
static int run_one(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);

    if (copy == NULL)
        return -1;
    if (size > 0)
        memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    return 0;
}

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rbe");
    struct stat st;
    int rc = -1;

    if (f == NULL || fstat(fileno(f), &st) != 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        if (f != NULL)
            fclose(f);
        return -1;
    }
    size_t size = (size_t)st.st_size;
    uint8_t *data = malloc(size + 1);
    if (data != NULL && fread(data, 1, size, f) == size) {
        rc = run_one(data, size);
        for (size_t n = 0; rc == 0 && n < size && n < LONGEST_CUT; n++)
            rc = run_one(data, n);
        count++;
    }
    free(data);
    fclose(f);
    return rc;
}

static int run_directory(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *entry;
    int rc = 0;

    if (d == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    while (rc == 0 && (entry = readdir(d)) != NULL) {
        char file[4096];

        if (entry->d_name[0] == '.')
            continue;
        int n = snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
        rc = n > 0 && (size_t)n < sizeof(file) ? run_file(file) : -1;
    }
    closedir(d);
    return rc;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (run_directory(argv[i]) != 0)
            return 1;
    }
    printf("%d inputs\n", count);
    if (count == 0)
        fprintf(stderr, "no input\n");
    return count == 0;
}
