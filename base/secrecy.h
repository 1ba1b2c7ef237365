/* SPDX-License-Identifier: MIT */
/*
 * secrecy: what a process with passwords in its memory leaves to nobody: no core file, and no look
 * into it for other processes of the same user (/proc/PID/mem, environ, ptrace). Root still may.
 *
 * For the start of main(), once; a program started afterwards by exec keeps only the limit.
 */
#ifndef BASE_SECRECY_H
#define BASE_SECRECY_H

/* Best effort: what is refused stays as it was. */
void secrecy_begin(void);

#endif
