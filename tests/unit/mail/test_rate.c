/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <pthread.h>

#include "worker/handlers/mail/rate.h"

#define S ((int64_t)1000000)

struct words {
    _Atomic uint64_t next, promised, brake;
    struct rate rate;
};

static struct words *new_words(void)
{
    static struct words w;

    w.next = w.promised = w.brake = 0;
    w.rate = (struct rate){&w.next, &w.promised};
    return &w;
}

Test(rate, is_read_from_a_count_and_a_unit)
{
    static const struct {
        const char *text;
        int64_t us;
    } good[] = {{"10/s", S / 10},    {"300/m", S / 5},     {"1/m", 60 * S},
                {"2000/h", 1800000}, {"500/d", 172800000}, {"1000000/s", 1}};
    static const char *const bad[] = {
        "",      "10",   "/s",    "0/s",       "-1/s",
        "10/",   "10/w", "10/S",  "10/s ",     " 10/s",
        "10 /s", "x/s",  "1.5/s", "1000001/s", "99999999999999999999/s",
        "10/ss"};
    int64_t us = 0;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        cr_expect(rate_parse(good[i].text, &us), "%s", good[i].text);
        cr_expect_eq(us, good[i].us, "%s: %lld", good[i].text, (long long)us);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect(!rate_parse(bad[i], &us), "\"%s\"", bad[i]);
}

Test(rate, lets_one_go_every_interval)
{
    struct words *w = new_words();
    int64_t now = 1000 * S;

    cr_assert_eq(rate_take(&w->rate, S, now), 0);
    cr_assert_eq(rate_take(&w->rate, S, now + S - 1), 1);
    cr_assert_eq(rate_take(&w->rate, S, now + S), 0);
    cr_assert_neq(rate_take(&w->rate, S, now + S), 0);
    /* what was not used is not saved up */
    cr_assert_eq(rate_take(&w->rate, S, now + 100 * S), 0);
    cr_assert_neq(rate_take(&w->rate, S, now + 100 * S), 0);
}

/* A hundred at once: whoever comes back when he was told to is let go at once. */
Test(rate, gives_each_who_is_refused_a_time_of_his_own)
{
    struct words *w = new_words();
    int64_t start = 50 * S;
    int64_t told[100];

    cr_assert_eq(rate_take(&w->rate, S, start), 0);
    for (int i = 0; i < 100; i++)
        told[i] = start + i + rate_take(&w->rate, S, start + i);
    for (int i = 0; i < 100; i++) {
        cr_assert(i == 0 || told[i] >= told[i - 1] + S, "%d: %lld after %lld", i,
                  (long long)told[i], (long long)told[i - 1]);
        cr_assert_eq(rate_take(&w->rate, S, told[i]), 0, "%d had to wait again", i);
    }
}

Test(rate, promises_nothing_beyond_its_horizon)
{
    struct words *w = new_words();
    int64_t now = 50 * S;

    cr_assert_eq(rate_take(&w->rate, S, now), 0);
    for (int i = 0; i < 5000; i++) {
        int64_t wait = rate_take(&w->rate, S, now);
        cr_assert(wait > 0 && wait <= RATE_HORIZON_US, "%lld", (long long)wait);
    }
}

Test(rate, follows_a_new_limit_at_once)
{
    struct words *w = new_words();
    int64_t now = 50 * S;

    cr_assert_eq(rate_take(&w->rate, 3600 * S, now), 0);
    cr_assert_neq(rate_take(&w->rate, 3600 * S, now + S), 0);
    cr_assert_eq(rate_take(&w->rate, S, now + 2 * S), 0, "an hour is not waited for");
    cr_assert_eq(rate_take(&w->rate, S, now + 3 * S), 0);
}

Test(rate, survives_words_that_nobody_wrote)
{
    struct words *w = new_words();
    static const uint64_t garbage[] = {1, UINT64_MAX, INT64_MAX, (uint64_t)INT64_MAX + 1,
                                       0xdeadbeefdeadbeef};

    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        int64_t now = 50 * S, ticket_wait;
        uint64_t ticket;

        w->next = w->promised = w->brake = garbage[i];
        ticket_wait = rate_take(&w->rate, S, now);
        cr_expect(ticket_wait >= 0 && ticket_wait <= RATE_HORIZON_US, "%llx: %lld",
                  (unsigned long long)garbage[i], (long long)ticket_wait);
        cr_expect(rate_take(&w->rate, S, now + 2 * S) == 0 ||
                  rate_take(&w->rate, S, now + 4 * S) == 0);
        ticket_wait = brake_ask(&w->brake, S, now, &ticket);
        cr_expect(ticket_wait >= 0 && ticket_wait <= BRAKE_LONGEST_US + S);
    }
}

struct crowd {
    struct words *words;
    int64_t now;
    int went;
};

static void *take_many(void *ctx)
{
    struct crowd *c = ctx;

    for (int i = 0; i < 20000; i++)
        c->went += rate_take(&c->words->rate, 1000, c->now + i) == 0;
    return NULL;
}

/* 20 ms of one a millisecond: 20, however many ask. */
Test(rate, holds_for_all_who_share_it)
{
    struct crowd crowd[4];
    pthread_t threads[4];
    struct words *w = new_words();
    int went = 0;

    for (int i = 0; i < 4; i++) {
        crowd[i] = (struct crowd){w, 50 * S, 0};
        cr_assert_eq(pthread_create(&threads[i], NULL, take_many, &crowd[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        went += crowd[i].went;
    }
    cr_assert(went >= 1 && went <= 20, "%d", went);
}

Test(brake, sends_one_to_look_after_ever_longer_pauses)
{
    struct words *w = new_words();
    uint64_t ticket, other;
    int64_t now = 100 * S, pause, longest = 0;

    cr_assert_eq(brake_ask(&w->brake, S, now, &ticket), 0);
    cr_assert_eq(brake_ask(&w->brake, S, now, &other), 0, "it is not pulled");
    for (int i = 0; i < 15; i++) {
        pause = brake_pull(&w->brake, ticket, now);
        cr_assert(pause >= BRAKE_FIRST_US && pause >= longest && pause <= BRAKE_LONGEST_US);
        longest = pause;
        cr_assert_eq(brake_ask(&w->brake, S, now + pause - 1, &other), 1);
        now += pause;
        cr_assert_eq(brake_ask(&w->brake, S, now, &ticket), 0, "one goes to look");
        cr_assert_eq(brake_ask(&w->brake, S, now, &other), S, "the others wait for him");
    }
    cr_assert_eq(longest, BRAKE_LONGEST_US);
    /* he died: another one goes */
    cr_assert_eq(brake_ask(&w->brake, S, now + S, &ticket), 0);
    brake_release(&w->brake);
    cr_assert_eq(brake_ask(&w->brake, S, now + S, &ticket), 0);
    cr_assert_eq(brake_ask(&w->brake, S, now + S, &other), 0, "all go again");
    cr_assert_eq(brake_pull(&w->brake, ticket, now), BRAKE_FIRST_US, "it began anew");
}

Test(brake, asks_less_often_how_the_look_went_the_longer_it_was_out_of_order)
{
    struct words *w = new_words();
    uint64_t ticket, other;
    int64_t now = 100 * S, pause;

    cr_assert_eq(brake_ask(&w->brake, 30 * S, now, &ticket), 0);
    cr_assert(brake_was_free(ticket));
    for (int i = 0; i < 12; i++) {
        int64_t soon;

        pause = brake_pull(&w->brake, ticket, now);
        now += pause;
        soon = pause / 4 < S ? S : pause / 4 > 30 * S ? 30 * S : pause / 4;
        cr_assert_eq(brake_ask(&w->brake, 30 * S, now, &ticket), 0);
        cr_assert_not(brake_was_free(ticket));
        cr_assert_eq(brake_ask(&w->brake, 30 * S, now, &other), soon);
        soon = soon > 12 * S ? soon : 12 * S;
        cr_assert_eq(brake_ask(&w->brake, 30 * S, now + 12 * S, &other),
                     soon < 18 * S ? soon : 18 * S);
    }
}

/* Thousands wait for the same moment: the last milliseconds before it are not spent on asking. */
Test(brake, spreads_those_who_wait_over_a_second_at_least)
{
    static const int64_t least[] = {0, 1, 999, 1000, 2000, 300000};

    for (size_t i = 0; i < sizeof(least) / sizeof(least[0]); i++) {
        int64_t soonest = INT64_MAX, latest = 0;

        for (uint32_t random = 0; random < 700000; random++) {
            int64_t ms = wait_about(least[i], random);
            soonest = ms < soonest ? ms : soonest;
            latest = ms > latest ? ms : latest;
        }
        cr_assert_eq(soonest, least[i]);
        cr_assert_eq(latest, least[i] < 1000 ? least[i] + 1000 : 2 * least[i]);
    }
}

/* Eight were on their way when the server failed: that is one failure. */
Test(brake, counts_one_failure_of_many_who_met_it)
{
    struct words *w = new_words();
    uint64_t tickets[8], ticket;
    int64_t now = 100 * S;

    for (int i = 0; i < 8; i++)
        cr_assert_eq(brake_ask(&w->brake, S, now, &tickets[i]), 0);
    for (int i = 0; i < 8; i++)
        cr_assert_eq(brake_pull(&w->brake, tickets[i], now), BRAKE_FIRST_US);
    cr_assert_eq(brake_ask(&w->brake, S, now, &ticket), BRAKE_FIRST_US);
}
