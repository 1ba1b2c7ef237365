/* SPDX-License-Identifier: MIT */
/*
 * template_dir: where the shipped templates are: beside the module, wherever the whole was
 * installed or unpacked, or in the build tree; else where it was meant to be installed.
 *
 * No state.
 */
#ifndef WORKER_HANDLERS_MAIL_TEMPLATE_DIR_H
#define WORKER_HANDLERS_MAIL_TEMPLATE_DIR_H

#include <stddef.h>

/* The directory for a module in module_dir; cut off when it does not fit. */
void template_dir_find(const char *module_dir, char *out, size_t size);

/* The directory for the shared object that this code was linked into. */
void template_dir_shipped(char *out, size_t size);

#endif
