/* SPDX-License-Identifier: MIT */
/* desk: see desk.h. */
#include "tests/integration/mail/desk.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void run_or_fail(const char *const *argv)
{
    char *out = NULL;
    int status = run_command(&out, NULL, argv);

    if (status != 0)
        fail_test("%s: exit %d: %s", argv[0], status, out);
    free(out);
}

static void load_forum(struct desk *d, const char *version)
{
    bool is_039 = strcmp(version, V039) == 0;
    const char *const arrange[] = {"psql", "-Xq",
                                   "-d",   d->pg->conninfo,
                                   "-v",   "ON_ERROR_STOP=1",
                                   "-v",   fmt("version=%s", version),
                                   "-f",   source_path("tests/integration/mail/desk.sql"),
                                   NULL};
    const char *members =
        is_039 ? "misago_threads_threadparticipant" : "misago_privatethreads_privatethreadmember";

    fixture_load(d->pg, &(struct fixture){
                            .version = version, .threads = 40, .posts = 200, .users = READERS});
    run_or_fail(arrange);
    pg_do(d->pg, "DELETE FROM %s", members);
    pg_do(d->pg,
          "INSERT INTO %s SELECT (jsonb_populate_record(NULL::%s, jsonb_build_object('id', u.id,"
          " 'thread_id', desk.private_thread, 'user_id', u.id, 'is_owner', false,"
          " 'created_at', now()))).* FROM misago_users_user u, desk",
          members, members);
}

struct desk *desk_new(const char *version, const struct smtp_server_options *o)
{
    static const struct smtp_server_options usual;
    struct desk *d = calloc(1, sizeof(*d));

    if (d == NULL)
        abort();
    d->pg = postgres_start(false);
    /* The forum first: the server's own user is named like our schema, where it would end up. */
    load_forum(d, version);
    pg_load(d->pg, source_path("contrib/postgres/schema.sql"));
    pg_load(d->pg, source_path("contrib/postgres/roles.sql"));
    pg_load(d->pg, source_path(fmt("contrib/postgres/grants/mail-%s.sql", version)));
    d->thread = pg_int(d->pg, "SELECT thread FROM desk");
    d->post = pg_int(d->pg, "SELECT post FROM desk");
    d->private_thread = pg_int(d->pg, "SELECT private_thread FROM desk");
    d->private_post = pg_int(d->pg, "SELECT private_post FROM desk");
    d->actor = pg_int(d->pg, "SELECT actor FROM desk");
    d->smtp = smtp_start(o != NULL ? o : &usual);
    return d;
}

void desk_free(struct desk *d)
{
    if (d->mail != NULL)
        handler_close(d->mail);
    smtp_stop(d->smtp);
    postgres_stop(d->pg);
    free(d);
}

void desk_open(struct desk *d, const char *const *settings)
{
    const char *const usual[] = {
        "mail.url",      d->smtp->url, "mail.ca",   d->smtp->ca,
        "mail.tls",      "require",    "mail.from", "The Workbench <forum@example.org>",
        "mail.deadline", "50000",      NULL};
    const char *all[40];
    size_t n = 0;

    for (size_t i = 0; settings != NULL && settings[i] != NULL; i++)
        all[n++] = settings[i];
    for (size_t i = 0; usual[i] != NULL; i++)
        all[n++] = usual[i];
    all[n] = NULL;
    if (d->mail != NULL)
        handler_close(d->mail);
    d->mail = handler_open("mail", fmt("%s user=jobq_worker", d->pg->conninfo), all);
}

void desk_open_with(struct desk *d, const char *key, const char *value)
{
    const char *const settings[] = {key, value, NULL};

    desk_open(d, settings);
}

const char *desk_reply(const struct desk *d, int reader)
{
    return fmt("{\"post_id\": %lld, \"watched_id\": %d}", d->post, reader);
}

const char *desk_private(const struct desk *d, int reader)
{
    return fmt("{\"thread_id\": %lld, \"user_id\": %d, \"actor_id\": %lld}", d->private_thread,
               reader, d->actor);
}

int desk_send(struct desk *d, int reader)
{
    return handler_run(d->mail, REPLY, desk_reply(d, reader));
}

void desk_expect(struct desk *d, int reader, int verdict, const char *words)
{
    int got = desk_send(d, reader);

    cr_assert(got == verdict && strstr(d->mail->text, words) != NULL,
              "reader %d: verdict %d (%s) instead of %d (…%s…)", reader, got, d->mail->text,
              verdict, words);
}

long long desk_recorded(struct desk *d)
{
    return pg_int(d->pg, "SELECT count(*) FROM jobq.mail_sent");
}

char *desk_header(struct desk *d, size_t mail, const char *name)
{
    char *text = smtp_mail_json(d->smtp, mail);
    json_t *facts = json_loads(text, 0, NULL);
    json_t *pair;
    size_t i;
    char *value = NULL;

    json_array_foreach(json_object_get(facts, "headers"), i, pair)
    {
        const char *key = json_string_value(json_array_get(pair, 0));
        if (strcmp(key, name) == 0) {
            cr_assert(value == NULL, "mail %zu has several headers %s", mail, name);
            value = strdup(json_string_value(json_array_get(pair, 1)));
        }
    }
    json_decref(facts);
    free(text);
    return value;
}
