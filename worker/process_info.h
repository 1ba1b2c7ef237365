/* SPDX-License-Identifier: MIT */
/*
 * process_info: what this process uses of the machine, read from /proc at most once a second.
 * Single thread.
 */
#ifndef WORKER_PROCESS_INFO_H
#define WORKER_PROCESS_INFO_H

#include <stdint.h>
#include <sys/types.h>

struct process_info {
    int64_t rss_bytes, virtual_bytes;
    int64_t cpu_us;
    int64_t open_fds, max_fds;
    int64_t start_wall_ms;
};

/* Of this process; borrowed until the next call. What /proc does not tell is 0. */
const struct process_info *process_info_now(void);
/* Memory of a process that is its own: resident less shared (proc(5), statm); 0: not known. */
int64_t process_info_own_memory(pid_t pid);

#endif
