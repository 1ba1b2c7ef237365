/* SPDX-License-Identifier: MIT */
/* help: what is printed of the table of commands; see command.h. */
#include <string.h>

#include "admin/jobctl/command.h"

static void print_flags(const struct command_flag *flags, FILE *out)
{
    for (; flags != NULL && flags->name != NULL; flags++) {
        char left[64];
        char letter[8] = "";
        if (flags->letter != 0)
            snprintf(letter, sizeof(letter), "-%c, ", flags->letter);
        snprintf(left, sizeof(left), "%s--%s%s%s", letter, flags->name,
                 flags->value != NULL ? " " : "", flags->value != NULL ? flags->value : "");
        fprintf(out, "  %-26s %s\n", left, flags->help);
    }
}

void command_operands(const struct command *c, char *out, size_t out_size)
{
    size_t n = 0;
    out[0] = '\0';
    for (const struct command_operand *o = c->operands;
         o != NULL && o->name != NULL && n < out_size; o++)
        n += (size_t)snprintf(out + n, out_size - n, "%s%s%s%s", n > 0 ? " " : "",
                              o->optional ? "[" : "", o->name, o->optional ? "]" : "");
}

static void print_command(const struct command *c, FILE *out)
{
    char operands[80];
    command_operands(c, operands, sizeof(operands));
    fprintf(out, "usage: jobctl %s%s%s [flags]\n\n%s\n", c->words, operands[0] != '\0' ? " " : "",
            operands, c->help);
    if (c->more != NULL)
        fprintf(out, "\n%s\n", c->more);
    if (c->flags != NULL && c->flags->name != NULL) {
        fprintf(out, "\nflags:\n");
        print_flags(c->flags, out);
    }
    fprintf(out, "\nflags of every command:\n");
    print_flags(command_globals, out);
}

static bool is_in_group(const struct command *c, const char *group)
{
    size_t len = strlen(group);
    return strncmp(c->words, group, len) == 0 && c->words[len] == ' ';
}

void command_help(const struct args *a, FILE *out)
{
    if (a->command != NULL) {
        print_command(a->command, out);
        return;
    }
    fprintf(out, "usage: jobctl [flags] COMMAND …\n\ncommands:\n");
    for (const struct command *c = command_table; c->words != NULL; c++) {
        char left[128], operands[80];
        if (c->hidden || (a->help_words != NULL && !is_in_group(c, a->help_words)))
            continue;
        command_operands(c, operands, sizeof(operands));
        snprintf(left, sizeof(left), "%s%s%s", c->words, operands[0] != '\0' ? " " : "", operands);
        fprintf(out, "  %-26s %s\n", left, c->help);
    }
    fprintf(out, "\nflags:\n");
    print_flags(command_globals, out);
    fprintf(out, "\nexit status: 0 done; 1 the answer is no (not found, a fault); 2 usage; 69 "
                 "Redis or PostgreSQL is\n"
                 "unreachable; 73 cannot write; 75 timed out, or not known whether a job was "
                 "stored; 77 refused by\n"
                 "password or permission; 78 configuration. jobctl help COMMAND tells more.\n");
}
