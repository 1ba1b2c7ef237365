/* SPDX-License-Identifier: MIT */
/* completion: fish; see completion.h. */
#include <string.h>

#include "admin/jobctl/command.h"
#include "admin/jobctl/completion.h"
#include "base/buf.h"

static const char fish_main[] =
    "# The words of the command so far, without flags and their values.\n"
    "function __jobctl_words\n"
    "    set -l skip 0\n"
    "    for word in (commandline -opc)[2..-1]\n"
    "        if test $skip = 1\n"
    "            set skip 0\n"
    "        else if contains -- $word $__jobctl_with_value\n"
    "            set skip 1\n"
    "        else if not string match -q -- '-*' $word\n"
    "            echo $word\n"
    "        end\n"
    "    end\n"
    "end\n"
    "# Whether they are exactly these.\n"
    "function __jobctl_is\n"
    "    set -l words (__jobctl_words)\n"
    "    if test (count $words) -gt 0; and test $words[1] = help\n"
    "        set -e words[1]\n"
    "    end\n"
    "    test \"$words\" = \"$argv\"\n"
    "end\n"
    "# Whether they begin with these: -n N: and N more follow.\n"
    "function __jobctl_in\n"
    "    set -l words (__jobctl_words)\n"
    "    set -l more -1\n"
    "    if test $argv[1] = -n\n"
    "        set more $argv[2]\n"
    "        set argv $argv[3..-1]\n"
    "    end\n"
    "    set -l n (count $argv)\n"
    "    test (count $words) -ge $n; and test \"$words[1..$n]\" = \"$argv\"\n"
    "    and begin\n"
    "        test $more = -1; or test (count $words) -eq (math $n + $more)\n"
    "    end\n"
    "end\n"
    "function __jobctl_ask\n"
    "    command jobctl --timeout 1s $argv[1] list 2>/dev/null | awk 'NR > 1 { print $1 }'\n"
    "end\n"
    "complete -c jobctl -f\n";

static void put_fish_quoted(struct buf *b, const char *text)
{
    buf_append_char(b, '\'');
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\')
            buf_append_char(b, '\\');
        buf_append_char(b, *text);
    }
    buf_append_char(b, '\'');
}

static void put_offer(struct buf *b, enum value_kind kind, const char *choices)
{
    if (kind == VALUE_FILE)
        buf_append_str(b, " -F");
    if (kind == VALUE_WORD)
        buf_appendf(b, " -a '%s'", choices);
    if (kind == VALUE_QUEUE || kind == VALUE_WORKER)
        buf_appendf(b, " -a '(__jobctl_ask %s)'", kind == VALUE_QUEUE ? "queue" : "worker");
}

static void put_flags(struct buf *b, const struct command_flag *flags, const char *words)
{
    for (; flags != NULL && flags->name != NULL; flags++) {
        buf_append_str(b, "complete -c jobctl");
        if (words != NULL)
            buf_appendf(b, " -n '__jobctl_in %s'", words);
        if (flags->letter != 0)
            buf_appendf(b, " -s %c", flags->letter);
        buf_appendf(b, " -l %s", flags->name);
        if (flags->kind != VALUE_NONE)
            buf_append_str(b, flags->kind == VALUE_FILE ? " -r" : " -x");
        put_offer(b, flags->kind, flags->choices);
        buf_append_str(b, " -d ");
        put_fish_quoted(b, flags->help);
        buf_append_char(b, '\n');
    }
}

static void put_with_value(struct buf *b, const struct command_flag *flags)
{
    for (; flags != NULL && flags->name != NULL; flags++) {
        if (flags->kind == VALUE_NONE)
            continue;
        buf_appendf(b, " --%s", flags->name);
        if (flags->letter != 0)
            buf_appendf(b, " -%c", flags->letter);
    }
}

static void put_operands(struct buf *b, const struct command *c)
{
    int i = 0;
    for (const struct command_operand *o = c->operands; o != NULL && o->name != NULL; o++, i++) {
        if (o->kind != VALUE_FILE && o->kind != VALUE_WORD && o->kind != VALUE_QUEUE &&
            o->kind != VALUE_WORKER)
            continue;
        buf_appendf(b, "complete -c jobctl -n '__jobctl_in -n %d %s'", i, c->words);
        put_offer(b, o->kind, o->choices);
        buf_append_char(b, '\n');
    }
}

static void put_words(struct buf *b, const struct command *c)
{
    size_t len;
    bool first = completion_is_first_of_group(c, &len);
    if (len == 0 || first)
        buf_appendf(b, "complete -c jobctl -n '__jobctl_is' -a '%.*s'",
                    (int)(len > 0 ? len : strlen(c->words)), c->words);
    if (first)
        buf_append_str(b, " -d commands\n");
    if (len > 0)
        buf_appendf(b, "complete -c jobctl -n '__jobctl_is %.*s' -a '%s'", (int)len, c->words,
                    c->words + len + 1);
    buf_append_str(b, " -d ");
    put_fish_quoted(b, c->help);
    buf_append_char(b, '\n');
}

void completion_fish(struct buf *b)
{
    buf_append_str(b, "# fish completion of jobctl, written by jobctl completion fish.\n"
                      "set -g __jobctl_with_value");
    put_with_value(b, command_globals);
    for (const struct command *c = command_table; c->words != NULL; c++)
        put_with_value(b, c->flags);
    buf_append_char(b, '\n');
    buf_append_str(b, fish_main);
    buf_append_str(b, "complete -c jobctl -n '__jobctl_is' -a help -d 'help for a command'\n");
    put_flags(b, command_globals, NULL);
    for (const struct command *c = command_table; c->words != NULL; c++) {
        if (c->hidden)
            continue;
        put_words(b, c);
        put_flags(b, c->flags, c->words);
        put_operands(b, c);
    }
}
