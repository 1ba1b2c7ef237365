/* SPDX-License-Identifier: MIT */
/* template_set: which file is used, when it is read again, and that a broken one stops the mail. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/support.h"
#include "worker/handlers/mail/template_dir.h"
#include "worker/handlers/mail/template_file.h"
#include "worker/handlers/mail/template_set.h"

static char ours[256];   /* "shipped" */
static char theirs[256]; /* the operator's */
static struct template_set *set;
static struct mail_parts parts;
static struct mail_fault why;

static const struct mail_data data = {
    .forum_name = "Forum",
    .actor_name = "Ann & <Bob>",
    .thread_title = "First\r\nBcc: evil@x",
    .link = "https://forum.example/post/1/",
};

static void put(const char *directory, const char *language, const char *file, const char *text)
{
    const char *path = fmt("%s/%s", directory, language);

    cr_assert(mkdir(path, 0755) == 0 || errno == EEXIST);
    write_file(fmt("%s/%s", path, file), text);
}

static void put_all(const char *directory, const char *language, const char *mark)
{
    put(directory, language, "mail.x.subject", fmt("%s subject {{actor.name}}\n", mark));
    put(directory, language, "mail.x.txt", fmt("%s text {{actor.name}}\n", mark));
    put(directory, language, "mail.x.html", fmt("%s html {{actor.name}}\n", mark));
}

static void begin(void)
{
    snprintf(ours, sizeof(ours), "%s/ours", tmp_dir());
    snprintf(theirs, sizeof(theirs), "%s/theirs", tmp_dir());
    cr_assert(mkdir(ours, 0755) == 0);
    cr_assert(mkdir(theirs, 0755) == 0);
    put_all(ours, "en", "en");
    set = template_set_new(theirs, ours);
}

static void end(void)
{
    mail_parts_done(&parts);
    template_set_free(set);
}

TestSuite(template_set, .init = begin, .fini = end);

/* The subject, or the fault's text. */
static const char *subject(const char *language)
{
    mail_parts_done(&parts);
    why = (struct mail_fault){0};
    if (!template_set_render(set, "mail.x", language, &data, &parts, &why)) {
        cr_assert(!parts.subject && !parts.text && !parts.html, "half a mail");
        return why.text;
    }
    return parts.subject;
}

static void check_starts(const char *text, const char *start)
{
    cr_assert(strncmp(text, start, strlen(start)) == 0, "\"%s\" instead of \"%s\"", text, start);
}

Test(template_set, renders_three_parts_and_escapes_the_html_alone)
{
    cr_assert_str_eq(subject("en"), "en subject Ann & <Bob>");
    cr_assert_str_eq(parts.text, "en text Ann & <Bob>\n");
    cr_assert_str_eq(parts.html, "en html Ann &amp; &lt;Bob&gt;\n");
    cr_assert_str_eq(parts.language, "en");
}

Test(template_set, falls_back_from_region_to_language_to_english)
{
    cr_assert_str_eq(subject("pt-br"), "en subject Ann & <Bob>");
    cr_assert_str_eq(parts.language, "en");
    put_all(ours, "pt", "pt");
    check_starts(subject("pt-br"), "pt subject");
    check_starts(subject("pt_BR"), "pt subject");
    check_starts(subject("PT"), "pt subject");
    cr_assert_str_eq(parts.language, "pt");
    put_all(theirs, "pt-br", "br");
    check_starts(subject("pt_BR"), "br subject");
    check_starts(subject("pt"), "pt subject");
    put_all(ours, "zh-hans", "zh");
    check_starts(subject("zh-Hans-CN"), "zh subject");
}

Test(template_set, takes_the_operators_file_before_ours_one_by_one)
{
    put(theirs, "en", "mail.x.txt", "their text");
    check_starts(subject("en"), "en subject");
    cr_assert_str_eq(parts.text, "their text");
    check_starts(parts.html, "en html");
}

Test(template_set, sees_every_change_at_the_next_mail)
{
    put(theirs, "en", "mail.x.subject", "one\n");
    cr_assert_str_eq(subject("en"), "one");
    /* Same length, in the same tick of the clock, in place. */
    for (int i = 0; i < 50; i++) {
        put(theirs, "en", "mail.x.subject", fmt("%03d\n", i));
        cr_assert_str_eq(subject("en"), fmt("%03d", i));
    }
    /* Renamed over, as editors do. */
    write_file(fmt("%s/en/new", theirs), "other\n");
    cr_assert(rename(fmt("%s/en/new", theirs), fmt("%s/en/mail.x.subject", theirs)) == 0);
    cr_assert_str_eq(subject("en"), "other");
    cr_assert(unlink(fmt("%s/en/mail.x.subject", theirs)) == 0);
    check_starts(subject("en"), "en subject");
}

Test(template_set, keeps_a_file_that_did_not_change)
{
    struct template_cache cache = {0};
    const struct template *first = NULL;
    const struct template *again = NULL;
    const char *path = source_path("worker/handlers/mail/templates/en/mail.reply.txt");

    cr_assert(template_file_get(&cache, path, NULL, &first, &why) == TEMPLATE_FOUND);
    cr_assert(template_file_get(&cache, path, NULL, &again, &why) == TEMPLATE_FOUND);
    cr_assert(cache.files[0].look_again || first == again);
    cr_assert_null(cache.files[1].path, "kept once");
    template_cache_done(&cache);
}

Test(template_set, keeps_no_more_files_than_it_may)
{
    struct template_cache cache = {0};
    const struct template *t = NULL;
    char path[300];

    for (int i = 0; i < TEMPLATE_FILES_MAX * 2; i++) {
        snprintf(path, sizeof(path), "%s/%d", tmp_dir(), i);
        write_file(path, fmt("%d", i));
        cr_assert(template_file_get(&cache, path, NULL, &t, &why) == TEMPLATE_FOUND);
        /* One that is used all the time stays. */
        snprintf(path, sizeof(path), "%s/0", tmp_dir());
        cr_assert(template_file_get(&cache, path, NULL, &t, &why) == TEMPLATE_FOUND);
    }
    snprintf(path, sizeof(path), "%s/0", tmp_dir());
    cr_assert_str_eq(cache.files[0].path, path);
    cr_assert_str_eq(cache.files[1].path, fmt("%s/%d", tmp_dir(), TEMPLATE_FILES_MAX * 2 - 1));
    template_cache_done(&cache);
}

Test(template_set, stops_at_an_operators_broken_file_until_it_is_mended)
{
    put(theirs, "en", "mail.x.html", "<p>\n{{#link}}");
    for (int i = 0; i < 3; i++) {
        cr_assert_str_eq(subject("en"), fmt("%s/en/mail.x.html:2: {{/link}} is missing", theirs));
        cr_assert(why.kind == MAIL_FAULT_TEMPLATE);
    }
    cr_assert(!template_set_check(set, "mail.x", "en", &why));
    put(theirs, "en", "mail.x.html", "<p>\n{{#link}}{{/link}}");
    check_starts(subject("en"), "en subject");
    cr_assert(template_set_check(set, "mail.x", "en", &why));
}

Test(template_set, refuses_a_name_that_no_mail_has)
{
    put(theirs, "en", "mail.x.txt", "a\n{{thread_title}}");
    check_starts(subject("en"), fmt("%s/en/mail.x.txt:2: no value is called \"thread_title\"; "
                                    "there are forum.name, forum.address,",
                                    theirs));
    cr_assert_not_null(strstr(why.text, "thread.title"));
    cr_assert_not_null(strstr(why.text, ", language"), "the whole list fits: %s", why.text);
}

Test(template_set, refuses_a_language_with_some_of_its_files)
{
    put(theirs, "de", "mail.x.txt", "text");
    check_starts(subject("de"), "de/mail.x.subject is missing in ");
    cr_assert(why.kind == MAIL_FAULT_TEMPLATE);
    put(theirs, "de", "mail.x.subject", "s");
    check_starts(subject("de"), "de/mail.x.html is missing in ");
    put(theirs, "de", "mail.x.html", "h");
    cr_assert_str_eq(subject("de"), "s");
}

Test(template_set, says_where_it_looked_for_nothing)
{
    cr_assert(!template_set_render(set, "mail.y", "de", &data, &parts, &why));
    cr_assert_str_eq(why.text,
                     fmt("no templates en/mail.y.{subject,txt,html} in %s or %s", theirs, ours));
    cr_assert(why.kind == MAIL_FAULT_TEMPLATE);
}

Test(template_set, works_without_an_operators_directory)
{
    struct template_set *alone = template_set_new(NULL, ours);
    struct template_set *gone = template_set_new("/nonexistent/templates", ours);

    cr_assert(template_set_check(alone, "mail.x", "en", &why));
    cr_assert(template_set_check(gone, "mail.x", "en", &why));
    template_set_free(alone);
    template_set_free(gone);
    template_set_free(NULL);
}

Test(template_set, refuses_subjects_that_are_not_one_line)
{
    put(theirs, "en", "mail.x.subject", "one\ntwo\n");
    cr_assert_str_eq(subject("en"),
                     "en/mail.x.subject renders to more than one line, or holds a tab");
    cr_assert(why.kind == MAIL_FAULT_TEMPLATE);
    put(theirs, "en", "mail.x.subject", "one\ttwo\n");
    check_starts(subject("en"), "en/mail.x.subject renders to more than one line");
    put(theirs, "en", "mail.x.subject", " \n{{user.name}}\n");
    cr_assert_str_eq(subject("en"), "en/mail.x.subject renders to nothing");
    put(theirs, "en", "mail.x.subject", "\n  \r\n one \r\n\n");
    cr_assert_str_eq(subject("en"), "one");
    put(theirs, "en", "mail.x.subject", "{{! why }}\n{{#user.name}}\nx\n{{/user.name}}\none\n");
    cr_assert_str_eq(subject("en"), "one");
}

Test(template_set, makes_one_line_of_what_users_wrote)
{
    put(theirs, "en", "mail.x.subject", "Re: {{{thread.title}}}\n");
    cr_assert_str_eq(subject("en"), "Re: First  Bcc: evil@x");
    put(theirs, "en", "mail.x.txt", "{{subject}} ({{language}})");
    put(theirs, "en", "mail.x.html", "<title>{{subject}}</title>");
    put(theirs, "en", "mail.x.subject", "{{actor.name}}");
    check_starts(subject("en"), "Ann");
    cr_assert_str_eq(parts.text, "Ann & <Bob> (en)");
    cr_assert_str_eq(parts.html, "<title>Ann &amp; &lt;Bob&gt;</title>");
}

Test(template_set, refuses_parts_that_grow_too_long)
{
    char *title = malloc(TEMPLATE_PART_MAX);
    struct mail_data hostile = data;

    memset(title, '<', TEMPLATE_PART_MAX - 1);
    title[TEMPLATE_PART_MAX - 1] = '\0';
    hostile.thread_title = title;
    put(theirs, "en", "mail.x.html", "{{thread.title}}");
    cr_assert(!template_set_render(set, "mail.x", "en", &hostile, &parts, &why));
    cr_assert_str_eq(why.text, fmt("%s/en/mail.x.html: renders to more than 262144 bytes", theirs));
    free(title);
}

Test(template_set, refuses_what_is_no_language_and_no_type)
{
    static const char *const languages[] = {
        "", "../en", "e/n", "en.", "1en", "-", "en en", "a-language-too-long", "\xc3\xb6"};
    static const char *const types[] = {"", "../x", "a/b", ".x", "Mail"};

    for (size_t i = 0; i < sizeof(languages) / sizeof(languages[0]); i++) {
        cr_assert(!template_set_check(set, "mail.x", languages[i], &why), "%s", languages[i]);
        cr_assert(why.kind == MAIL_FAULT_SETTING);
    }
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        cr_assert(!template_set_check(set, types[i], "en", &why), "%s", types[i]);
        cr_assert(why.kind == MAIL_FAULT_DATA);
    }
}

Test(template_set, refuses_files_that_are_none)
{
    const char *path = fmt("%s/en/mail.x.txt", theirs);

    put(theirs, "en", "mail.x.subject", "s");
    cr_assert(mkdir(path, 0755) == 0);
    cr_assert_str_eq(subject("en"), fmt("%s/en/mail.x.txt: not a regular file", theirs));
    cr_assert(why.kind == MAIL_FAULT_TEMPLATE);
    cr_assert(rmdir(path) == 0 && mkfifo(path, 0644) == 0);
    cr_assert_str_eq(subject("en"), fmt("%s/en/mail.x.txt: not a regular file", theirs),
                     "and does not wait for a writer");
    cr_assert(unlink(path) == 0 && symlink("mail.x.txt", path) == 0);
    check_starts(subject("en"), fmt("%s/en/mail.x.txt: ", theirs));
    cr_assert(why.kind == MAIL_FAULT_TEMPLATE);
    cr_assert(unlink(path) == 0 && symlink("mail.x.subject", path) == 0);
    cr_assert_str_eq(subject("en"), "s");
    cr_assert_str_eq(parts.text, "s");
    cr_assert(unlink(path) == 0);
    write_file(path, "");
    cr_assert(truncate(path, TEMPLATE_SOURCE_MAX + 1) == 0);
    cr_assert_str_eq(subject("en"), fmt("%s/en/mail.x.txt: longer than 262144 bytes", theirs));
}

Test(template_set, does_not_pass_over_a_file_it_may_not_read)
{
    put(theirs, "en", "mail.x.txt", "secret");
    cr_assert(chmod(fmt("%s/en/mail.x.txt", theirs), 0) == 0);
    cr_assert(chmod(tmp_dir(), 0755) == 0);
    /* root could read it all the same */
    cr_assert(geteuid() != 0 || seteuid(65534) == 0);
    cr_assert_str_eq(subject("en"), fmt("%s/en/mail.x.txt: Permission denied", theirs));
    cr_assert(why.kind == MAIL_FAULT_TEMPLATE);
    cr_assert(seteuid(getuid()) == 0);
}

Test(template_set, finds_the_shipped_directory_beside_a_module)
{
    char found[512];
    char module_dir[256];

    snprintf(module_dir, sizeof(module_dir), "%s/lib/jobq", tmp_dir());
    cr_assert(mkdir(fmt("%s/lib", tmp_dir()), 0755) == 0 && mkdir(module_dir, 0755) == 0);
    template_dir_find(module_dir, found, sizeof(found));
    cr_assert_not_null(strstr(found, "/share/jobq/templates"));
    cr_assert_null(strstr(found, tmp_dir()),
                   "there is none beside it: where it was to be installed");
    cr_assert(mkdir(fmt("%s/share", tmp_dir()), 0755) == 0 &&
              mkdir(fmt("%s/share/jobq", tmp_dir()), 0755) == 0 &&
              mkdir(fmt("%s/share/jobq/templates", tmp_dir()), 0755) == 0);
    template_dir_find(module_dir, found, sizeof(found));
    check_starts(found, tmp_dir());
    template_dir_find(lib_path("jobq"), found, sizeof(found));
    cr_assert(access(fmt("%s/en/mail.reply.txt", found), R_OK) == 0, "%s", found);
    template_dir_shipped(found, sizeof(found));
    cr_assert_not_null(strstr(found, "share/jobq/templates"));
}
