/* SPDX-License-Identifier: MIT */
/*
 * jobd: reads its configuration and runs the supervisor. Exit status: 0 drained, 2 usage, 70 a bug,
 * 78 configuration.
 */
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#include "base/child.h"
#include "base/log.h"
#include "base/secrecy.h"
#include "config/config.h"
#include "worker/metrics.h"
#include "worker/supervisor.h"

#define LARGE_BYTES (1024 * 1024)
#define KEPT_BYTES (4 * 1024 * 1024)

/*
 * Left alone, glibc raises both with the largest block freed: after a few payloads of some MiB it
 * would keep 100 MiB and more for good.
 */
static void bound_heap(void)
{
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
#endif
}

int main(int argc, char **argv)
{
    struct worker_config *config = NULL;
    jobq_err err = {0};
    int status = 0;
    child_take_std_fds();
    secrecy_begin();
    bound_heap();
    int rc = worker_config_load(argc, (const char *const *)argv, (const char *const *)environ,
                                metrics_print_markdown, &config, &err);
    if (rc) {
        fprintf(stderr, "jobd: %s\n", err.msg);
        return worker_config_exit_status(rc);
    }
    if (!config)
        return 0;
    log_setup("jobd", STDERR_FILENO, config->log_level, config->log_format);
    rc = supervisor_run(config, &status, &err);
    if (rc) {
        log_event(LOG_ERROR, "stop", LOG_STR("error", err.msg), LOG_END);
        return worker_config_exit_status(rc);
    }
    return status;
}
