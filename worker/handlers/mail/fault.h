/* SPDX-License-Identifier: MIT */
/*
 * fault: why a mail could not be made, and whose business it is to mend it.
 *
 * The kind decides the job's verdict, the text says what to mend. Filled by the function that
 * fails, untouched on success; lives on the caller's stack.
 */
#ifndef WORKER_HANDLERS_MAIL_FAULT_H
#define WORKER_HANDLERS_MAIL_FAULT_H

#include <stdbool.h>

enum mail_fault_kind {
    MAIL_FAULT_NONE = 0,
    /* A template file is missing, broken, unreadable, or what it makes is too long. Every mail of
       that type fails until somebody mends the file: snooze (no attempt counted) and alert. */
    MAIL_FAULT_TEMPLATE,
    /* A configured value is wrong (sender, language, address of the forum): snooze and alert. */
    MAIL_FAULT_SETTING,
    /* What this one mail is made of can never be sent (its recipient's address): dead. */
    MAIL_FAULT_DATA,
    /* No memory, no descriptors, a disk that fails, a file being written just now: retry. */
    MAIL_FAULT_SYSTEM,
};

struct mail_fault {
    enum mail_fault_kind kind;
    char text[512]; /* one line of valid UTF-8, lower case, no full stop */
};

/* Fills *why (NULL is fine); control characters in the text become '?'. Returns false, so: return
 * mail_fault_set(…). */
bool mail_fault_set(struct mail_fault *why, enum mail_fault_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Puts "text: " before what is there. Returns false. */
bool mail_fault_prefix(struct mail_fault *why, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
