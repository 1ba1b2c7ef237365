/* SPDX-License-Identifier: MIT */
/*
 * raw_mail: how fast libcurl alone sends mails: one message again and again, each process over one
 * connection that stays open.
 *
 * raw_mail URL FILE COUNT PROCESSES
 * Prints "COUNT SECONDS", where COUNT is a multiple of PROCESSES.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_MAX (1024 * 1024)

struct message {
    char data[MESSAGE_MAX];
    size_t len;
    size_t at;
};

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static size_t on_read(char *out, size_t size, size_t count, void *ctx)
{
    struct message *m = ctx;
    size_t n = size * count;
    if (n > m->len - m->at)
        n = m->len - m->at;
    memcpy(out, m->data + m->at, n);
    m->at += n;
    return n;
}

static int send_all(const char *url, struct message *m, long count)
{
    struct curl_slist *to = curl_slist_append(NULL, "<somebody@example.net>");
    CURL *h = curl_easy_init();
    CURLcode rc = h != NULL && to != NULL ? CURLE_OK : CURLE_OUT_OF_MEMORY;
    if (rc == CURLE_OK) {
        curl_easy_setopt(h, CURLOPT_URL, url);
        curl_easy_setopt(h, CURLOPT_PROXY, "");
        curl_easy_setopt(h, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(h, CURLOPT_MAIL_FROM, "<forum@example.net>");
        curl_easy_setopt(h, CURLOPT_MAIL_RCPT, to);
        curl_easy_setopt(h, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(h, CURLOPT_READDATA, m);
        curl_easy_setopt(h, CURLOPT_INFILESIZE_LARGE, (curl_off_t)m->len);
    }
    for (long i = 0; rc == CURLE_OK && i < count; i++) {
        m->at = 0;
        rc = curl_easy_perform(h);
    }
    if (rc != CURLE_OK)
        fprintf(stderr, "raw_mail: %s\n", curl_easy_strerror(rc));
    curl_easy_cleanup(h);
    curl_slist_free_all(to);
    return rc == CURLE_OK ? 0 : 1;
}

static int read_message(const char *path, struct message *m)
{
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return -1;
    m->len = fread(m->data, 1, sizeof(m->data), f);
    fclose(f);
    return m->len > 0 && m->len < sizeof(m->data) ? 0 : -1;
}

int main(int argc, char **argv)
{
    static struct message message;
    int failed = 0, status;
    if (argc != 5) {
        fprintf(stderr, "usage: raw_mail URL FILE COUNT PROCESSES\n");
        return 2;
    }
    long processes = strtol(argv[4], NULL, 10);
    long each = processes > 0 ? strtol(argv[3], NULL, 10) / processes : 0;
    if (each < 1 || read_message(argv[2], &message) != 0)
        return 2;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    double begin = seconds_now();
    for (long i = 0; i < processes; i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(send_all(argv[1], &message, each));
        failed |= pid < 0;
    }
    while (wait(&status) > 0)
        failed |= status != 0;
    if (failed)
        return 1;
    printf("%ld %.6f\n", each * processes, seconds_now() - begin);
    return 0;
}
