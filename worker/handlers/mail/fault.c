/* SPDX-License-Identifier: MIT */
/* fault: see fault.h. */
#include "worker/handlers/mail/fault.h"

#include <stdarg.h>
#include <string.h>

#include "worker/handlers/common/text.h"
#include "worker/handlers/common/utf8.h"

bool mail_fault_set(struct mail_fault *why, enum mail_fault_kind kind, const char *format, ...)
{
    va_list args;

    if (why) {
        why->kind = kind;
        va_start(args, format);
        text_format_list(why->text, sizeof(why->text), format, args);
        va_end(args);
        utf8_clean(why->text, '?');
    }
    return false;
}

bool mail_fault_prefix(struct mail_fault *why, const char *format, ...)
{
    char text[sizeof(why->text)];
    char prefix[sizeof(why->text)];
    va_list args;

    if (why) {
        va_start(args, format);
        text_format_list(prefix, sizeof(prefix), format, args);
        va_end(args);
        utf8_clean(prefix, '?');
        memcpy(text, why->text, sizeof(text));
        text_format(why->text, sizeof(why->text), "%s: %s", prefix, text);
    }
    return false;
}
