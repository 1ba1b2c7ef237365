/* SPDX-License-Identifier: MIT */
/* program: leaks, or writes past an end, as its first argument says. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *volatile block;

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    if (strcmp(argv[1], "quiet-overflow") == 0)
        close(STDERR_FILENO);
    block = malloc(16);
    if (block == NULL)
        return 1;
    if (strcmp(argv[1], "leak") == 0)
        block = NULL;
    else
        block[16 + argc - 2] = 1;
    return 0;
}
