/* SPDX-License-Identifier: MIT */
/* say: see say.h. */
#include "worker/handlers/common/say.h"

#include <stdarg.h>

#include "worker/handlers/common/text.h"

int say_verdict(const jobq_host *host, int verdict, const char *format, ...)
{
    char text[JOBQ_HANDLER_TEXT_MAX];
    va_list args;

    va_start(args, format);
    text_format_list(text, sizeof(text), format, args);
    va_end(args);
    host->set_text(host->ctx, text);
    return verdict;
}

void say_log(const jobq_host *host, int level, const char *format, ...)
{
    char text[JOBQ_HANDLER_TEXT_MAX];
    va_list args;

    va_start(args, format);
    text_format_list(text, sizeof(text), format, args);
    va_end(args);
    host->log(host->ctx, level, text);
}
