/* SPDX-License-Identifier: MIT */
/*
 * notify: one datagram to the socket the service manager named. Reads the environment at each call:
 * it is rare.
 */
#include "base/notify.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <jobq/error.h>

#include "base/text.h"

/* false: no service manager listens, or its address is not one we can send to. */
static int find_socket(struct sockaddr_un *address, socklen_t *size)
{
    const char *path = getenv("NOTIFY_SOCKET");
    if (!path || (path[0] != '/' && path[0] != '@'))
        return 0;
    size_t len = strlen(path);
    if (len < 2 || len >= sizeof(address->sun_path))
        return 0;
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, path, len);
    if (path[0] == '@')
        address->sun_path[0] = '\0'; /* abstract: no closing NUL belongs to the name */
    *size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (path[0] == '/' ? 1 : 0));
    return 1;
}

void notify_send(const char *format, ...)
{
    struct sockaddr_un address;
    socklen_t size = 0;
    if (!find_socket(&address, &size))
        return;
    char text[2048];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (n < 0)
        return;
    size_t len = strlen(text);
    if ((size_t)n > len)
        len = text_cut(text, len, len - 1);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    sendto(fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT, (const struct sockaddr *)&address, size);
    close(fd);
}

int64_t notify_watchdog_ms(void)
{
    const char *usec_text = getenv("WATCHDOG_USEC");
    const char *pid_text = getenv("WATCHDOG_PID");
    int64_t usec = 0;
    int64_t pid = 0;
    if (text_parse_int(usec_text, &usec) != JOBQ_OK || usec <= 0)
        return 0;
    if (pid_text && (text_parse_int(pid_text, &pid) != JOBQ_OK || pid != (int64_t)getpid()))
        return 0;
    return MAX(usec / 2000, INT64_C(1));
}
