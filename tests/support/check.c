/* SPDX-License-Identifier: MIT */
/*
 * check: what makes a leak or an overflow anywhere in a test fail that test.
 *
 * A Criterion test runs in a child process that ends before LeakSanitizer looks, and a sanitizer's
 * report in a process that the test started ends in a log. So every test is wrapped here, for all
 * suites, by the linker (--wrap, see tests/CMakeLists.txt): after its body leaks are looked for;
 * after its teardown everything it started is killed, its directory is removed, and a report found
 * in any log makes the run fail.
 *
 * Single thread.
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "tests/support/internal.h"
#include "tests/support/support.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define HAS_ASAN 1
#endif

#ifdef HAS_ASAN
#include <sanitizer/lsan_interface.h>
#endif

void __real_criterion_internal_test_main(void (*body)(void));
void __wrap_criterion_internal_test_main(void (*body)(void));
void __real_criterion_internal_test_teardown(void);
void __wrap_criterion_internal_test_teardown(void);
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

static void (*test_body)(void);
static int reports;

/* Leaks of a test are looked for below, once; at exit Criterion's own would be found. */
const char *__asan_default_options(void)
{
    return "leak_check_at_exit=0:handle_segv=0:detect_stack_use_after_return=1";
}

const char *__ubsan_default_options(void)
{
    return "print_stacktrace=1";
}

/*
 * What a test and its programs find in the environment is what the test puts there: neither
 * servers, colours nor sizes of whoever runs it, nor a service manager. A name server that cannot
 * be reached is given up soon.
 */
__attribute__((constructor)) static void begin_with_an_environment_of_our_own(void)
{
    static const char *const begins[] = {"JOBQ_", "REDIS_",  "POSTGRES_", "MISAGO_",
                                         "PG",    "NOTIFY_", "WATCHDOG_", "STATE_DIRECTORY="};
    static const char *const names[] = {"NO_COLOR", "COLUMNS", "LINES", "BASH_ENV", "ENV", "TZ"};

    for (char **at = environ; *at != NULL;) {
        bool strange = false;
        for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
            strange = strange || strncmp(*at, begins[i], strlen(begins[i])) == 0;
        /* JOBQ_TEST_…, and the two that say where more to test with is. */
        if (!strange || strncmp(*at, "JOBQ_TEST_", 10) == 0 ||
            strncmp(*at, "JOBQ_FORUM_", 11) == 0) {
            at++;
            continue;
        }
        char *name = strndup(*at, strcspn(*at, "="));
        unsetenv(name);
        free(name);
        at = environ;
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unsetenv(names[i]);
    setenv("RES_OPTIONS", "timeout:1 attempts:1", 1);
}

/* How many times more work there is than processors. */
static int64_t crowd(void)
{
    double load = 1;

    if (getloadavg(&load, 1) != 1)
        return 1;
    double times = load / (double)sysconf(_SC_NPROCESSORS_ONLN);
    return times < 2 ? 1 : times > 10 ? 10 : (int64_t)times;
}

int64_t patience_ms(int64_t ms)
{
    const char *preload = getenv("LD_PRELOAD");

    ms *= crowd();
    if (preload != NULL && strstr(preload, "vgpreload") != NULL)
        return ms * 15;
#ifdef HAS_ASAN
    return ms * 4;
#else
    return ms;
#endif
}

_Noreturn void fail_test(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    char *text = must_vprintf(format, args);
    va_end(args);
    process_print_logs();
    fprintf(stderr, "[----] %s\n", text);
    criterion_test_die("%s", text);
    abort();
}

void note_sanitizer_reports(const char *path)
{
    static const char *const signs[] = {"ERROR: AddressSanitizer", "ERROR: LeakSanitizer",
                                        "WARNING: ThreadSanitizer", "runtime error: "};
    char *text = read_file(path);

    if (text == NULL)
        return;
    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
        char *at = strstr(text, signs[i]);
        if (at == NULL)
            continue;
        reports++;
        fprintf(stderr, "--- a sanitizer's report, from %s:\n%.6000s\n", path, at);
        break;
    }
    free(text);
}

/* Reports of programs whose stderr is not one of our logs: process_start() has them written
 * here. */
static void note_report_files(void)
{
    glob_t found;

    if (!tmp_dir_is_made())
        return;
    if (glob(fmt("%s/sanitizer.*", tmp_dir()), 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++)
            note_sanitizer_reports(found.gl_pathv[i]);
    }
    globfree(&found);
}

static void run_body_and_look_for_leaks(void)
{
    test_body();
    if (reports > 0)
        cr_assert_fail("a sanitizer's report in what the test started (see above)");
#ifdef HAS_ASAN
    if (__lsan_do_recoverable_leak_check() != 0)
        cr_assert_fail("memory leaked (see the report above)");
#endif
}

void __wrap_criterion_internal_test_main(void (*body)(void))
{
    test_body = body;
    __real_criterion_internal_test_main(run_body_and_look_for_leaks);
}

void __wrap_criterion_internal_test_teardown(void)
{
    __real_criterion_internal_test_teardown();
    process_free_all();
    note_report_files();
    tmp_dir_remove();
    if (reports > 0) {
        fprintf(stderr, "[FAIL] %s: a sanitizer's report in what the test started\n",
                criterion_current_test->name);
        /* Too late for an assertion. Criterion takes a signal here for a crash in the teardown, and
         * its run exits with 1; an exit status it would ignore. */
        abort();
    }
}
