/* SPDX-License-Identifier: MIT */
/* completion: what the scripts share, and bash and zsh, whose languages are near to each other; see
 * completion.h. */
#include "admin/jobctl/completion.h"

#include <string.h>

#include "admin/jobctl/command.h"
#include "base/buf.h"

/* ---- shared ---- */

void completion_put_kind(struct buf *b, int kind, const char *choices)
{
    static const char *const names[] = {
        [VALUE_NONE] = "none",     [VALUE_TEXT] = "text",   [VALUE_NUMBER] = "text",
        [VALUE_DURATION] = "text", [VALUE_WHEN] = "text",   [VALUE_FILE] = "file",
        [VALUE_PAYLOAD] = "text",  [VALUE_WORD] = "words ", [VALUE_QUEUE] = "queue",
        [VALUE_TYPE] = "text",     [VALUE_JOB] = "text",    [VALUE_WORKER] = "worker",
        [VALUE_COMMAND] = "text",
    };
    buf_append_str(b, names[kind]);
    if (kind == VALUE_WORD)
        buf_append_str(b, choices);
}

void completion_put_quoted(struct buf *b, const char *text)
{
    buf_append_char(b, '\'');
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            buf_append_str(b, "'\\''");
        else
            buf_append_char(b, *text);
    }
    buf_append_char(b, '\'');
}

bool completion_is_first_of_group(const struct command *c, size_t *len)
{
    *len = strcspn(c->words, " ");
    if (c->words[*len] == '\0') {
        *len = 0;
        return false;
    }
    for (const struct command *before = command_table; before < c; before++) {
        if (strncmp(before->words, c->words, *len + 1) == 0)
            return false;
    }
    return true;
}

/* ---- functions of the table, which both shells read alike ---- */

static void put_flag_kinds(struct buf *b, const struct command_flag *flags)
{
    for (; flags != NULL && flags->name != NULL; flags++) {
        if (flags->letter != 0)
            buf_appendf(b, "-%c|", flags->letter);
        buf_appendf(b, "--%s) kind='", flags->name);
        completion_put_kind(b, (int)flags->kind, flags->choices);
        buf_append_str(b, "' ;; ");
    }
}

/* Sets kind: what the flag $2 of the command $1 takes; empty: no such flag. */
static void put_kind_function(struct buf *b)
{
    buf_append_str(b, "_jobctl_flag() {\n    kind=\n    case $1 in\n");
    for (const struct command *c = command_table; c->words != NULL; c++) {
        if (c->flags == NULL || c->flags->name == NULL)
            continue;
        buf_appendf(b, "        '%s') case $2 in ", c->words);
        put_flag_kinds(b, c->flags);
        buf_append_str(b, "esac ;;\n");
    }
    buf_append_str(b, "    esac\n    [ -z \"$kind\" ] || return 0\n    case $2 in ");
    put_flag_kinds(b, command_globals);
    buf_append_str(b, "esac\n}\n");
}

/* Sets kind: what operand number $2 of the command $1 is; empty: it takes no more. */
static void put_operand_function(struct buf *b)
{
    buf_append_str(b, "_jobctl_operand() {\n    kind=\n    case \"$1 $2\" in\n");
    for (const struct command *c = command_table; c->words != NULL; c++) {
        int i = 0;
        for (const struct command_operand *o = c->operands; o != NULL && o->name != NULL; o++) {
            buf_appendf(b, "        '%s %d') kind='", c->words, i++);
            completion_put_kind(b, (int)o->kind, o->choices);
            buf_append_str(b, "' ;;\n");
        }
    }
    buf_append_str(b, "    esac\n}\n");
}

static void put_words_of(struct buf *b, const char *group)
{
    size_t len = strlen(group);
    for (const struct command *c = command_table; c->words != NULL; c++) {
        if (strncmp(c->words, group, len) == 0 && c->words[len] == ' ')
            buf_appendf(b, " %s", c->words + len + 1);
    }
}

/* Sets what: command, group or nothing, of the words $1. Sets list: what may follow a group, or
 * the beginning. */
static void put_words_function(struct buf *b)
{
    char group[32];
    size_t len;
    buf_append_str(b, "_jobctl_words() {\n    what= list=\n    case $1 in\n        '') list='help");
    for (const struct command *c = command_table; c->words != NULL; c++) {
        bool first = completion_is_first_of_group(c, &len);
        if (c->hidden)
            continue;
        if (len == 0)
            buf_appendf(b, " %s", c->words);
        else if (first)
            buf_appendf(b, " %.*s", (int)len, c->words);
    }
    buf_append_str(b, "' ;;\n");
    for (const struct command *c = command_table; c->words != NULL; c++) {
        if (!completion_is_first_of_group(c, &len) || len >= sizeof(group))
            continue;
        memcpy(group, c->words, len);
        group[len] = '\0';
        buf_appendf(b, "        '%s') what=group list='", group);
        put_words_of(b, group);
        buf_append_str(b, "' ;;\n");
    }
    for (const struct command *c = command_table; c->words != NULL; c++)
        buf_appendf(b, "        '%s') what=command ;;\n", c->words);
    buf_append_str(b, "    esac\n}\n");
}

static void put_flags_of(struct buf *b, const struct command_flag *flags)
{
    for (; flags != NULL && flags->name != NULL; flags++)
        buf_appendf(b, " --%s", flags->name);
}

static void put_bash_flags(struct buf *b)
{
    buf_append_str(b, "_jobctl_flags() {\n    list='");
    put_flags_of(b, command_globals);
    buf_append_str(b, "'\n    case $1 in\n");
    for (const struct command *c = command_table; c->words != NULL; c++) {
        if (c->flags == NULL || c->flags->name == NULL)
            continue;
        buf_appendf(b, "        '%s') list=\"$list", c->words);
        put_flags_of(b, c->flags);
        buf_append_str(b, "\" ;;\n");
    }
    buf_append_str(b, "    esac\n}\n");
}

static const char ask_function[] =
    "# The first column of a list, asked for with the connection flags given so far.\n"
    "_jobctl_ask() {\n"
    "    command jobctl ${connection[@]+\"${connection[@]}\"} --timeout 1s \"$1\" list 2>/dev/null "
    "|\n"
    "        awk 'NR > 1 { print $1 }'\n"
    "}\n";

/* ---- bash ---- */

static const char bash_main[] =
    "_jobctl_offer() {\n"
    "    case $1 in\n"
    "        'words '*) COMPREPLY=($(compgen -W \"${1#words }\" -- \"$cur\")) ;;\n"
    "        file) compopt -o filenames 2>/dev/null\n"
    "            COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n"
    "        queue | worker) COMPREPLY=($(compgen -W \"$(_jobctl_ask \"$1\")\" -- \"$cur\")) ;;\n"
    "    esac\n"
    "}\n"
    "_jobctl() {\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} i word path= n=0 what list kind pending=\n"
    "    local connection=() IFS=$' \\t\\n'\n"
    "    COMPREPLY=()\n"
    "    [ \"$cur\" != '=' ] || cur=\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        word=${COMP_WORDS[i]}\n"
    "        if [ -n \"$pending\" ]; then\n"
    "            [ \"$word\" != '=' ] || continue\n"
    "            case $pending in\n"
    "                -c | --config | --env-file | --redis | --key-prefix)\n"
    "                    connection+=(\"$pending\" \"$word\") ;;\n"
    "            esac\n"
    "            pending=\n"
    "            continue\n"
    "        fi\n"
    "        case $word in\n"
    "            -*) _jobctl_words \"$path\"\n"
    "                _jobctl_flag \"$path\" \"$word\"\n"
    "                [ -z \"$kind\" ] || [ \"$kind\" = none ] || pending=$word ;;\n"
    "            *) _jobctl_words \"$path\"\n"
    "                if [ \"$what\" = command ]; then\n"
    "                    n=$((n + 1))\n"
    "                elif [ \"$word\" != help ] || [ -n \"$path\" ]; then\n"
    "                    path=\"${path:+$path }$word\"\n"
    "                fi ;;\n"
    "        esac\n"
    "    done\n"
    "    if [ -n \"$pending\" ]; then\n"
    "        _jobctl_flag \"$path\" \"$pending\"\n"
    "        _jobctl_offer \"$kind\"\n"
    "        return\n"
    "    fi\n"
    "    _jobctl_words \"$path\"\n"
    "    case $cur in\n"
    "        -*) _jobctl_flags \"$path\"\n"
    "            COMPREPLY=($(compgen -W \"$list\" -- \"$cur\")) ;;\n"
    "        *) if [ \"$what\" = command ]; then\n"
    "                _jobctl_operand \"$path\" \"$n\"\n"
    "                _jobctl_offer \"$kind\"\n"
    "            else\n"
    "                COMPREPLY=($(compgen -W \"$list\" -- \"$cur\"))\n"
    "            fi ;;\n"
    "    esac\n"
    "}\n"
    "complete -F _jobctl jobctl\n";

void completion_bash(struct buf *b)
{
    buf_append_str(b, "# bash completion of jobctl, written by jobctl completion bash.\n");
    put_words_function(b);
    put_bash_flags(b);
    put_kind_function(b);
    put_operand_function(b);
    buf_append_str(b, ask_function);
    buf_append_str(b, bash_main);
}

/* ---- zsh ---- */

/* name:help for _describe, where a colon of the name would need a backslash. */
static void put_described(struct buf *b, const char *dashes, const char *name, size_t len,
                          const char *help)
{
    char text[512];
    snprintf(text, sizeof(text), "%s%.*s:%s", dashes, (int)len, name, help);
    buf_append_char(b, ' ');
    completion_put_quoted(b, text);
}

static void put_zsh_words(struct buf *b)
{
    size_t len;
    buf_append_str(b, "_jobctl_described_words() {\n    case $1 in\n        '') list=(");
    put_described(b, "", "help", 4, "help for a command");
    for (const struct command *c = command_table; c->words != NULL; c++) {
        bool first = completion_is_first_of_group(c, &len);
        if (c->hidden)
            continue;
        if (len == 0)
            put_described(b, "", c->words, strlen(c->words), c->help);
        else if (first)
            put_described(b, "", c->words, len, "commands");
    }
    buf_append_str(b, ") ;;\n");
    for (const struct command *c = command_table; c->words != NULL; c++) {
        if (!completion_is_first_of_group(c, &len))
            continue;
        buf_appendf(b, "        '%.*s') list=(", (int)len, c->words);
        for (const struct command *m = c; m->words != NULL; m++) {
            if (strncmp(m->words, c->words, len + 1) == 0)
                put_described(b, "", m->words + len + 1, strlen(m->words + len + 1), m->help);
        }
        buf_append_str(b, ") ;;\n");
    }
    buf_append_str(b, "    esac\n}\n");
}

static void put_described_flags(struct buf *b, const struct command_flag *flags)
{
    for (; flags != NULL && flags->name != NULL; flags++)
        put_described(b, "--", flags->name, strlen(flags->name), flags->help);
}

static void put_zsh_flags(struct buf *b)
{
    buf_append_str(b, "_jobctl_described_flags() {\n    list=(");
    put_described_flags(b, command_globals);
    buf_append_str(b, ")\n    case $1 in\n");
    for (const struct command *c = command_table; c->words != NULL; c++) {
        if (c->flags == NULL || c->flags->name == NULL)
            continue;
        buf_appendf(b, "        '%s') list+=(", c->words);
        put_described_flags(b, c->flags);
        buf_append_str(b, ") ;;\n");
    }
    buf_append_str(b, "    esac\n}\n");
}

static const char zsh_main[] =
    "_jobctl_offer() {\n"
    "    case $1 in\n"
    "        'words '*) compadd -- ${=1#words } ;;\n"
    "        file) _files ;;\n"
    "        queue | worker) compadd -- ${(f)\"$(_jobctl_ask $1)\"} ;;\n"
    "    esac\n"
    "}\n"
    "_jobctl() {\n"
    "    local i word path_words= n=0 what list kind pending=\n"
    "    local -a connection\n"
    "    for ((i = 2; i < CURRENT; i++)); do\n"
    "        word=${words[i]}\n"
    "        if [[ -n $pending ]]; then\n"
    "            case $pending in\n"
    "                -c | --config | --env-file | --redis | --key-prefix)\n"
    "                    connection+=($pending $word) ;;\n"
    "            esac\n"
    "            pending=\n"
    "            continue\n"
    "        fi\n"
    "        case $word in\n"
    "            -*=*) ;;\n"
    "            -*) _jobctl_flag \"$path_words\" \"$word\"\n"
    "                [[ -z $kind || $kind = none ]] || pending=$word ;;\n"
    "            *) _jobctl_words \"$path_words\"\n"
    "                if [[ $what = command ]]; then\n"
    "                    n=$((n + 1))\n"
    "                elif [[ $word != help || -n $path_words ]]; then\n"
    "                    path_words=\"${path_words:+$path_words }$word\"\n"
    "                fi ;;\n"
    "        esac\n"
    "    done\n"
    "    if [[ -n $pending ]]; then\n"
    "        _jobctl_flag \"$path_words\" \"$pending\"\n"
    "        _jobctl_offer \"$kind\"\n"
    "        return\n"
    "    fi\n"
    "    word=${words[CURRENT]}\n"
    "    _jobctl_words \"$path_words\"\n"
    "    local -a list\n"
    "    if [[ $word = --*=* ]] && compset -P '*='; then\n"
    "        _jobctl_flag \"$path_words\" \"${word%%=*}\"\n"
    "        _jobctl_offer \"$kind\"\n"
    "    elif [[ $word = -* ]]; then\n"
    "        _jobctl_described_flags \"$path_words\"\n"
    "        _describe -o 'flag' list\n"
    "    elif [[ $what = command ]]; then\n"
    "        _jobctl_operand \"$path_words\" \"$n\"\n"
    "        _jobctl_offer \"$kind\"\n"
    "    else\n"
    "        _jobctl_described_words \"$path_words\"\n"
    "        _describe 'command' list\n"
    "    fi\n"
    "}\n"
    "if [[ ${funcstack[1]} = _jobctl ]]; then\n"
    "    _jobctl \"$@\"\n"
    "else\n"
    "    compdef _jobctl jobctl\n"
    "fi\n";

void completion_zsh(struct buf *b)
{
    buf_append_str(b, "#compdef jobctl\n"
                      "# zsh completion of jobctl, written by jobctl completion zsh.\n");
    put_words_function(b);
    put_zsh_words(b);
    put_zsh_flags(b);
    put_kind_function(b);
    put_operand_function(b);
    buf_append_str(b, ask_function);
    buf_append_str(b, zsh_main);
}
