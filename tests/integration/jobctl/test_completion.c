/* SPDX-License-Identifier: MIT */
/* jobctl completion: the scripts, asked in the shells themselves. Those that are not there are
 * passed over: bash always is. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "tests/integration/jobctl/run.h"
#include "tests/integration/jobctl/server.h"
#include "tests/support/support.h"

static void start(void)
{
    char *bin = realpath(bin_path("jobctl"), NULL);
    redis = redis_start(NULL);
    setenv("JOBQ_REDIS", redis->url, 1);
    *strrchr(bin, '/') = '\0';
    setenv("PATH", fmt("%s:%s", bin, getenv("PATH")), 1);
    free(bin);
    done(redis_do(redis, "HSET jobq:queues mail 1 main 1 other 1"));
}

TestSuite(jobctl_completion, .init = start, .fini = stop);

static bool has(const char *shell)
{
    return run_command(NULL, NULL,
                       (const char *const[]){"/bin/sh", "-c", "command -v \"$0\"", shell, NULL}) ==
           0;
}

/* What the shell offers for the words, the last of which is being typed; newlines are spaces. In a
 * buffer of fmt(). */
static const char *offered(const char *const *shell, const char *const *words)
{
    const char *argv[20];
    size_t n = 0;
    char *out = NULL;
    for (; *shell != NULL; shell++)
        argv[n++] = *shell;
    for (; *words != NULL; words++)
        argv[n++] = *words;
    argv[n] = NULL;
    int status = run_command(&out, NULL, argv);
    cr_assert_eq(status, 0, "%s", out);
    for (char *c = out; *c != '\0'; c++) {
        if (*c == '\n')
            *c = c[1] == '\0' ? '\0' : ' ';
    }
    const char *kept = fmt("%s", out);
    free(out);
    return kept;
}

struct expected {
    const char *words[10];
    const char *offers;
};

static const struct expected table[] = {
    {{"jobctl", "dea"}, "dead"},
    {{"jobctl", "parked", ""}, "list"},
    {{"jobctl", "dead", ""}, "list show retry discard"},
    {{"jobctl", "help", "que"}, "queue"},
    {{"jobctl", "dead", "list", "--rea"}, "--reason"},
    {{"jobctl", "dead", "list", "--reason", ""}, "permanent exhausted expired corrupt"},
    {{"jobctl", "-c", "/none", "--json", "queue", "purge", "--lane", "low"}, "low"},
    {{"jobctl", "queue", "show", "ma"}, "mail main"},
    {{"jobctl", "job", "list", "--queue", "ot"}, "other"},
    {{"jobctl", "completion", ""}, "bash zsh fish"},
    {{"jobctl", "completion", "bash", ""}, ""},
};

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The words of a line, sorted: shells have orders of their own. */
static const char *sorted(const char *line)
{
    char *copy = strdup(line), *words[200], out[2000] = "";
    size_t n = 0;
    char *rest = copy, *word;
    while ((word = strsep(&rest, " ")) != NULL) {
        if (*word != '\0' && n < 200)
            words[n++] = word;
    }
    qsort(words, n, sizeof(words[0]), compare);
    for (size_t i = 0; i < n; i++)
        snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s ", words[i]);
    free(copy);
    return fmt("%s", out);
}

struct question {
    const char *const *shell;
    const struct expected *row;
    const char *have; /* in a buffer of fmt() */
};

static bool is_offered(void *ctx)
{
    struct question *q = ctx;
    q->have = offered(q->shell, q->row->words);
    return strcmp(sorted(q->have), sorted(q->row->offers)) == 0;
}

/* Of queues a shell offers what Redis tells within a second, on a slow machine nothing: it is asked
 * again. */
static void check_all(const char *const *shell)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct question q = {shell, &table[i], NULL};
        cr_assert(wait_until(patience_ms(10000), is_offered, &q), "row %zu: %s", i, q.have);
    }
}

/* The script, in a file of its own. */
static const char *script_of(const char *shell)
{
    static char path[300];
    struct run r = JOBCTL("completion", shell);
    snprintf(path, sizeof(path), "%s/completion.%s", tmp_dir(), shell);
    expect(&r, 0, NULL);
    write_file(path, r.out);
    run_free(&r);
    return path;
}

Test(jobctl_completion, bash_offers_what_the_table_has)
{
    static const char ask[] = ". \"$0\"; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _jobctl;\n"
                              "[ ${#COMPREPLY[@]} = 0 ] || printf '%s\\n' \"${COMPREPLY[@]}\"";
    const char *const shell[] = {"bash", "--norc", "-c", ask, script_of("bash"), NULL};
    check_all(shell);
    /* bash cuts words at = */
    const char *const cut[] = {"jobctl", "dead", "list", "--reason", "=", "ex", NULL};
    cr_assert_str_eq(offered(shell, cut), "exhausted expired");
    const char *const file[] = {"jobctl", "--config", "/etc/pass", NULL};
    cr_assert(strstr(offered(shell, file), "/etc/passwd") != NULL);
}

/* The functions that zsh's own completion gives, told to print. */
Test(jobctl_completion, zsh_offers_what_the_table_has)
{
    static const char ask[] =
        "script=$1; shift\n"
        "compdef() { :; }\n"
        "say() { local w; for w in \"$@\"; do [[ $w != ${words[CURRENT]}* ]] || print -r -- $w; "
        "done; }\n"
        "compadd() { shift; say \"$@\"; }\n"
        "_describe() { say ${list%%:*}; }\n"
        "_files() { print -r -- files; }\n"
        "source $script; words=(\"$@\"); CURRENT=$#; _jobctl; true";
    if (!has("zsh"))
        cr_skip("no zsh here");
    const char *const shell[] = {"zsh", "-f", "-c", ask, "zsh", script_of("zsh"), NULL};
    check_all(shell);
}

Test(jobctl_completion, fish_offers_what_the_table_has)
{
    static const char ask[] = "source $argv[1]; complete -C \"$argv[2..-1]\" | cut -f 1";
    if (!has("fish"))
        cr_skip("no fish here");
    setenv("HOME", tmp_dir(), 1);
    const char *const shell[] = {"fish", "--no-config", "-c", ask, script_of("fish"), NULL};
    check_all(shell);
}

/* Scripts are written without a configuration that works, and say no when they cannot be. */
Test(jobctl_completion, needs_nothing_but_the_table)
{
    setenv("JOBQ_REDIS", "nonsense", 1);
    struct run r = JOBCTL("completion", "bash");
    expect(&r, 0, NULL);
    cr_assert(strstr(r.out, "'dead retry'") != NULL);
    run_free(&r);
    r = JOBCTL("completion", "ksh");
    expect(&r, 2, "SHELL: not bash, zsh or fish: ksh");
    run_free(&r);
    r = JOBCTL("completion");
    expect(&r, 2, "completion needs SHELL");
    run_free(&r);
}
