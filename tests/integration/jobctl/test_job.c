/* SPDX-License-Identifier: MIT */
/* jobctl job enqueue and job show, against a real Redis. */
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "broker/codec.h"
#include "tests/integration/jobctl/proxy.h"
#include "tests/integration/jobctl/run.h"
#include "tests/integration/jobctl/server.h"
#include "tests/support/support.h"

TestSuite(jobctl_job, .init = start_for_operator, .fini = stop);

/* Enqueues, and gives the id. Args after the type are NULL-ended. */
static const char *enqueue(const char *const *more)
{
    const char *args[32] = {"job", "enqueue", "--json", "a.b"};
    for (size_t i = 0; more[i] != NULL; i++)
        args[4 + i] = more[i];
    struct run r = run_jobctl(NULL, args);
    expect(&r, 0, NULL);
    static char ids[8][40]; /* fmt()'s ring is too short for a test that keeps several */
    static size_t count;
    char *id = ids[count++ % ARRAY_LEN(ids)];
    snprintf(id, sizeof(ids[0]), "%s", text_at(&r, "job.id"));
    run_free(&r);
    return id;
}
#define ENQUEUE(...) enqueue((const char *const[]){__VA_ARGS__, NULL})

static void expect_state(const char *id, const char *state, const char *place)
{
    struct run r = JOBCTL("job", "show", id, "--json");
    expect(&r, 0, NULL);
    cr_assert_str_eq(text_at(&r, "job.state"), state, "%s instead of %s: %s",
                     text_at(&r, "job.state"), state, r.out);
    cr_assert(strncmp(text_at(&r, "job.place"), place, strlen(place)) == 0, "%s", r.out);
    cr_assert_str_eq(text_at(&r, "job.id"), id);
    run_free(&r);
}

static struct buf header_with_id(const char *id, const char *type)
{
    struct buf b;
    struct job_header h = {.type = type,
                           .type_len = strlen(type),
                           .enqueued_ms = 1700000000000,
                           .attempts = 3,
                           .error = "it failed",
                           .error_len = 9};
    cr_assert(jobq_id_parse(id, &h.id, NULL) == JOBQ_OK);
    buf_init(&b, CODEC_HEADER_MAX);
    codec_encode(&h, &b);
    cr_assert(!b.failed);
    return b;
}

Test(jobctl_job, enqueue_stores_what_was_said)
{
    struct run r = JOBCTL("job", "enqueue", "mail.send", "{\"to\":\"\303\244\"}", "--queue", "mail",
                          "--lane", "high", "--expires", "1h", "--max-attempts", "4",
                          "--soft-limit", "5s", "--hard-limit", "7s", "--json");
    expect(&r, 0, NULL);
    expect_golden(&r, "job_enqueue");
    const char *id = fmt("%s", text_at(&r, "job.id")), *place = fmt("%s", text_at(&r, "job.place"));
    run_free(&r);
    r = JOBCTL("job", "show", id, "--json");
    expect(&r, 0, NULL);
    expect_golden(&r, "job_show");
    run_free(&r);
    r = JOBCTL("job", "show", place, "--json");
    expect(&r, 0, NULL);
    cr_assert_str_eq(text_at(&r, "job.id"), id);
    run_free(&r);
    char *partitions = redis_str(redis, "HGET jobq:queues mail");
    cr_assert_str_eq(partitions, "1");
    free(partitions);
}

Test(jobctl_job, the_payload_comes_from_the_line_a_file_or_standard_input_byte_for_byte)
{
    const char *text = " {\"a\": \"b\\u0007\"}\n";
    const char *file = fmt("%s/payload.json", tmp_dir());
    write_file(file, text);
    const char *ids[3];
    ids[0] = ENQUEUE(text);
    ids[1] = ENQUEUE(fmt("@%s", file));
    struct run r =
        run_jobctl(text, (const char *const[]){"job", "enqueue", "a.b", "-", "--json", NULL});
    expect(&r, 0, NULL);
    ids[2] = fmt("%s", text_at(&r, "job.id"));
    run_free(&r);
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        r = JOBCTL("job", "show", ids[i], "--json");
        cr_assert_str_eq(text_at(&r, "job.payload"), text);
        run_free(&r);
    }
    r = JOBCTL("job", "show", ENQUEUE("--queue", "empty"), "--json");
    cr_assert_str_eq(text_at(&r, "job.payload"), "{}");
    run_free(&r);
}

Test(jobctl_job, a_unique_key_makes_a_duplicate_that_names_its_holder)
{
    const char *holder = ENQUEUE("--unique", "k");
    struct run r = JOBCTL("job", "enqueue", "a.b", "--unique", "k", "--json");
    expect(&r, 0, NULL);
    cr_assert_str_eq(text_at(&r, "job.status"), "duplicate");
    cr_assert_str_eq(text_at(&r, "job.holder"), holder);
    run_free(&r);
    cr_assert(redis_int(redis, "XLEN jobq:{default:0}:ready:normal") == 1);
}

Test(jobctl_job, delay_and_due_keep_a_job_back)
{
    const char *delayed = ENQUEUE("--delay", "1h");
    const char *due = ENQUEUE("--due", "2033-05-18T04:33:20.5+01:00");
    expect_state(delayed, "delayed", "default/0/later/");
    struct run r = JOBCTL("job", "show", due, "--json");
    expect(&r, 0, NULL);
    cr_assert(number_at(&r, "job.due_ms") == 2000000000500, "%s", r.out);
    run_free(&r);
    r = JOBCTL("job", "show", fmt("default/0/later/%s", due));
    expect(&r, 0, NULL);
    cr_assert(strstr(r.out, "2033-05-18T03:33:20.500Z") != NULL, "%s", r.out);
    run_free(&r);
    cr_assert(redis_int(redis, "ZCARD jobq:{default:0}:later") == 2);
}

Test(jobctl_job, a_given_id_is_kept)
{
    const char *id = "01a206f3-d7fd-7c54-842d-66aa3b4f5791";
    cr_assert_str_eq(ENQUEUE("--id", id), id);
    expect_state(id, "queued", "default/0/normal/");
}

Test(jobctl_job, a_refusal_exits_with_its_cause)
{
    struct run r = JOBCTL("job", "enqueue", "a.b"); /* so that the queue is known */
    expect(&r, 0, NULL);
    run_free(&r);
    done(redis_do(redis, "CONFIG SET maxmemory 1"));
    r = JOBCTL("job", "enqueue", "a.b", "--json");
    expect(&r, 73, "not stored");
    cr_assert_str_eq(text_at(&r, "job.status"), "rejected");
    cr_assert_str_eq(text_at(&r, "job.cause"), "out_of_memory");
    run_free(&r);
    done(redis_do(redis, "CONFIG SET maxmemory 0"));
    done(redis_do(redis, "REPLICAOF 127.0.0.1 1"));
    r = JOBCTL("job", "enqueue", "a.b", "--json");
    expect(&r, 73, "not stored");
    cr_assert_str_eq(text_at(&r, "job.cause"), "read_only");
    run_free(&r);
    done(redis_do(redis, "REPLICAOF NO ONE"));
    cr_assert(redis_int(redis, "XLEN jobq:{default:0}:ready:normal") == 1);
}

Test(jobctl_job, an_answer_that_is_lost_exits_75_with_the_id_to_repeat)
{
    static struct proxy p;
    p = (struct proxy){
        .listen = strdup(fmt("%s/cut", tmp_dir())), .target = redis->socket, .cut_at = "XADD"};
    proxy_start(&p);
    struct run r = JOBCTL("job", "enqueue", "a.b", "--json", "--redis", fmt("unix://%s", p.listen));
    expect(&r, 75, "not known whether the job was stored");
    cr_assert_str_eq(text_at(&r, "job.status"), "unknown");
    char id[40];
    snprintf(id, sizeof(id), "%s", text_at(&r, "job.id"));
    run_free(&r);
    cr_assert_str_eq(ENQUEUE("--id", id), id);
    expect_state(id, "queued", "default/0/normal/");
}

Test(jobctl_job, show_tells_queued_from_claimed_from_finished)
{
    const char *first = ENQUEUE("{\"n\":1}");
    const char *second = ENQUEUE("{\"n\":2}");
    const char *third = ENQUEUE("{\"n\":3}");
    const char *lane = "jobq:{default:0}:ready:normal";
    expect_state(first, "queued", "default/0/normal/");
    done(redis_do(redis, "XGROUP CREATE %s jobq 0", lane));
    struct redisReply *r =
        redis_do(redis, "XREADGROUP GROUP jobq host-boot-7-aa COUNT 2 STREAMS %s >", lane);
    done(redis_do(redis, "XACK %s jobq %s", lane,
                  r->element[0]->element[1]->element[0]->element[0]->str));
    freeReplyObject(r);
    expect_state(first, "finished", "default/0/normal/");
    expect_state(second, "claimed", "default/0/normal/");
    expect_state(third, "queued", "default/0/normal/");
    struct run shown = JOBCTL("job", "show", second, "--json");
    cr_assert_str_eq(text_at(&shown, "job.owner"), "host-boot-7-aa");
    cr_assert(number_at(&shown, "job.claimed_for_ms") >= 0);
    run_free(&shown);
}

Test(jobctl_job, show_finds_dead_parked_and_recovered_jobs_long_after_their_ids_time)
{
    const char *id = "0188a000-0000-7c54-842d-66aa3b4f5791"; /* of 2023 */
    struct buf h = header_with_id(id, "a.b");
    done(redis_do(redis, "HSET jobq:queues default 1"));
    for (int i = 0; i < 500; i++)
        done(redis_do(redis, "XADD jobq:{default:0}:ready:recovered * h other p {}"));
    done(redis_do(redis, "XADD jobq:{default:0}:dead * h %b p {} reason exhausted error %s by me",
                  h.data, h.len, "e"));
    expect_state(id, "dead", "default/0/dead/");
    done(redis_do(redis, "DEL jobq:{default:0}:dead"));
    done(redis_do(redis, "XADD jobq:{default:0}:parked * h %b p {}", h.data, h.len));
    expect_state(id, "parked", "default/0/parked/");
    done(redis_do(redis, "XADD jobq:{default:0}:ready:recovered * h %b p {}", h.data, h.len));
    expect_state(id, "queued", "default/0/recovered/");
    struct run r = JOBCTL("job", "show", id, "--json");
    cr_assert_str_eq(text_at(&r, "job.error"), "it failed");
    cr_assert(number_at(&r, "job.attempts") == 3 &&
              number_at(&r, "job.enqueued_ms") == 1700000000000);
    run_free(&r);
    buf_done(&h);
}

Test(jobctl_job, show_looks_first_where_the_id_was_made_however_much_lies_around)
{
    const char *id = "0188a000-0000-7c54-842d-66aa3b4f5791";
    const long long ms = 0x0188a0000000;
    struct buf h = header_with_id(id, "a.b");
    done(redis_do(redis, "HSET jobq:queues default 1"));
    for (int i = 0; i < 300; i++)
        done(redis_do(redis, "XADD jobq:{default:0}:ready:normal %lld-0 h other p {}",
                      ms - 900 + i));
    done(redis_do(redis, "XADD jobq:{default:0}:ready:normal %lld-0 h %b p {}", ms + 3, h.data,
                  h.len));
    struct run r = JOBCTL("job", "show", id, "--scan", "100", "--json");
    expect(&r, 0, NULL);
    cr_assert_str_eq(text_at(&r, "job.state"), "queued");
    run_free(&r);
    buf_done(&h);
}

Test(jobctl_job, a_finished_copy_does_not_hide_the_living_one)
{
    const char *id = ENQUEUE("{}");
    const char *lane = "jobq:{default:0}:ready:normal";
    struct buf h = header_with_id(id, "a.b");
    done(redis_do(redis, "XGROUP CREATE %s jobq 0", lane));
    done(redis_do(redis, "XREADGROUP GROUP jobq w NOACK STREAMS %s >", lane));
    expect_state(id, "finished", "default/0/normal/");
    done(redis_do(redis, "XADD jobq:{default:0}:dead * h %b p {} reason permanent error e by w",
                  h.data, h.len));
    expect_state(id, "dead", "default/0/dead/");
    buf_done(&h);
}

Test(jobctl_job, show_says_how_far_it_looked)
{
    const char *id = "0188a000-0000-7c54-842d-66aa3b4f5791";
    done(redis_do(redis, "HSET jobq:queues default 2 mail 1"));
    for (int i = 0; i < 300; i++)
        done(redis_do(redis, "XADD jobq:{default:1}:ready:low * h other p {}"));
    struct run r = JOBCTL("job", "show", id, "--json");
    expect(&r, 1, "no such job");
    expect_golden(&r, "job_show_none");
    run_free(&r);
    r = JOBCTL("job", "show", id, "--scan", "100", "--json");
    expect(&r, 1, "look further with --scan");
    cr_assert(number_at(&r, "looked.entries") == 100 &&
                  json_is_false(member(&r, "looked.everything")),
              "%s", r.out);
    cr_assert(number_at(&r, "looked.around_ms") == 3600000, "%s", r.out);
    run_free(&r);
    r = JOBCTL("job", "show", id, "--queue", "mail");
    expect(&r, 1, NULL);
    cr_assert(strstr(r.out, "at 0 entries in 1 partition of mail: all there are") != NULL, "%s",
              r.out);
    run_free(&r);
    r = JOBCTL("job", "show", "mail/0/high/1-1");
    expect(&r, 1, "nothing is at mail/0/high/1-1");
    run_free(&r);
    r = JOBCTL("job", "show", id, "--queue", "nobody");
    expect(&r, 1, "there is no queue nobody");
    run_free(&r);
}

Test(jobctl_job, show_makes_bytes_visible_and_survives_garbage)
{
    const char bytes[] = "\033]0;title\007\377\302\205";
    done(redis_do(redis, "HSET jobq:queues default 1"));
    done(redis_do(redis, "XADD jobq:{default:0}:parked 5-5 h %b p %b", "\002\000", (size_t)2, bytes,
                  sizeof(bytes) - 1));
    struct run r = JOBCTL("job", "show", "default/0/parked/5-5");
    expect(&r, 0, NULL);
    cr_assert(strchr(r.out, '\033') == NULL && strchr(r.out, '\007') == NULL, "%s", r.out);
    cr_assert(strstr(r.out, "1b5d303b7469746c6507ffc285") != NULL, "%s", r.out);
    run_free(&r);
    r = JOBCTL("job", "show", "default/0/parked/5-5", "--json");
    expect(&r, 0, NULL);
    cr_assert_str_eq(text_at(&r, "job.header"), "of a newer format");
    cr_assert(json_is_null(member(&r, "job.payload")));
    run_free(&r);
    done(redis_do(redis, "XADD jobq:{default:0}:ready:high 6-6 h %s p %s", "\001short",
                  "{\"a\":\"\033[31m\302\233\n\"}"));
    r = JOBCTL("job", "show", "default/0/high/6-6");
    expect(&r, 0, NULL);
    cr_assert(strstr(r.out, "not readable") != NULL, "%s", r.out);
    cr_assert(strstr(r.out, "{\"a\":\"\\x1b[31m\\u009b\\n\"}") != NULL, "%s", r.out);
    run_free(&r);
    done(redis_do(redis, "XADD jobq:{default:0}:ready:high 7-7 x y"));
    r = JOBCTL("job", "show", "default/0/high/7-7");
    expect(&r, 0, NULL);
    run_free(&r);
    done(redis_do(redis, "HSET jobq:{default:0}:held 0188a000-0000-7c54-842d-66aa3b4f5791 abc"));
    done(redis_do(redis, "ZADD jobq:{default:0}:later 1 0188a000-0000-7c54-842d-66aa3b4f5791"));
    r = JOBCTL("job", "show", "0188a000-0000-7c54-842d-66aa3b4f5791");
    expect(&r, 0, NULL);
    cr_assert(strstr(r.out, "not readable") != NULL && strstr(r.out, "delayed") != NULL, "%s",
              r.out);
    run_free(&r);
}

Test(jobctl_job, a_long_payload_is_cut_for_people_and_whole_in_json)
{
    char *text = malloc(100100);
    memset(text, 'x', 100000);
    memcpy(text, "{\"a\":\"", 6);
    memcpy(text + 100000, "\"}", 3);
    write_file(fmt("%s/long", tmp_dir()), text);
    const char *id = ENQUEUE(fmt("@%s/long", tmp_dir()));
    struct run r = JOBCTL("job", "show", id);
    expect(&r, 0, NULL);
    cr_assert(strlen(r.out) < 6000 && strstr(r.out, "… (100002 bytes in all, see --json)") != NULL);
    run_free(&r);
    r = JOBCTL("job", "show", id, "--json");
    cr_assert_str_eq(text_at(&r, "job.payload"), text);
    run_free(&r);
    free(text);
}

Test(jobctl_job, the_key_prefix_separates_installations)
{
    setenv("JOBQ_REDIS", redis->url, 1); /* the users of contrib are for one prefix */
    struct run r = JOBCTL("job", "enqueue", "a.b", "--key-prefix", "other");
    expect(&r, 0, NULL);
    run_free(&r);
    cr_assert(redis_int(redis, "XLEN other:{default:0}:ready:normal") == 1);
    r = JOBCTL("queue", "list", "--json");
    cr_assert(json_array_size(member(&r, "queues")) == 0);
    run_free(&r);
    r = JOBCTL("queue", "list", "--json", "--key-prefix", "other");
    cr_assert(json_array_size(member(&r, "queues")) == 1);
    run_free(&r);
}
