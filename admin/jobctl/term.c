/* SPDX-License-Identifier: MIT */
/* term: see term.h. Sequences are those of ECMA-48 and xterm, which every terminal emulator in use
 * knows. */
#include "admin/jobctl/term.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"

#define ENTER "\033[?1049h\033[?25l\033[?7l\033[H\033[2J"
#define LEAVE "\033[0m\033[?7h\033[?25h\033[?1049l"
#define WRITE_WAIT_MS 1000

static struct termios before;
static volatile sig_atomic_t entered;

static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

static void on_crash(int number)
{
    term_leave();
    raise(number); /* SA_RESETHAND: as it would have been */
}

int term_enter(jobq_err *err)
{
    struct termios raw;
    struct sigaction action = {.sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND};
    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return error_set(err, JOBQ_EINTERNAL, "cannot read the terminal's settings: %m");
    raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < ARRAY_LEN(crashes); i++)
        (void)sigaction(crashes[i], &action, NULL);
    entered = 1;
    if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) != 0 || !term_write(ENTER, strlen(ENTER))) {
        term_leave();
        return error_set(err, JOBQ_EINTERNAL, "cannot set the terminal: %m");
    }
    return JOBQ_OK;
}

void term_leave(void)
{
    if (!entered)
        return;
    entered = 0;
    ssize_t ignored = write(STDOUT_FILENO, LEAVE, sizeof(LEAVE) - 1);
    (void)ignored;
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

static unsigned from_environment(const char *name, unsigned otherwise)
{
    int64_t n = 0;
    const char *text = getenv(name);
    bool is_number = text != NULL && text_parse_int(text, &n) == JOBQ_OK && n > 0 && n < 10000;
    return is_number ? (unsigned)n : otherwise;
}

void term_size(int fd, unsigned *columns, unsigned *lines)
{
    struct winsize size;
    bool known = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;
    *columns = known ? size.ws_col : from_environment("COLUMNS", 80);
    *lines = known ? size.ws_row : from_environment("LINES", 24);
}

int term_keys(char *keys, size_t size)
{
    char bytes[64];
    int count = 0;
    ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));
    if (n < 0)
        return errno == EINTR || errno == EAGAIN ? 0 : -1;
    for (ssize_t i = 0; i < n && (size_t)count < size; i++) {
        if (bytes[i] != '\033') {
            keys[count++] = bytes[i];
            continue;
        }
        /* An arrow is ESC [ A or ESC O A; what else begins so is passed over whole. */
        if (i + 2 < n && (bytes[i + 1] == '[' || bytes[i + 1] == 'O')) {
            for (i += 2; i + 1 < n && (bytes[i] < 0x40 || bytes[i] > 0x7e); i++) {
            }
            if (bytes[i] == 'A' || bytes[i] == 'B')
                keys[count++] = bytes[i] == 'A' ? 'k' : 'j';
        }
    }
    return count;
}

bool term_write(const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, bytes, len);
        struct pollfd p = {.fd = STDOUT_FILENO, .events = POLLOUT};
        if (n < 0 && errno == EAGAIN && poll(&p, 1, WRITE_WAIT_MS) > 0)
            continue;
        if (n < 0 && errno != EINTR)
            return false;
        bytes += MAX(n, 0);
        len -= (size_t)MAX(n, 0);
    }
    return true;
}
