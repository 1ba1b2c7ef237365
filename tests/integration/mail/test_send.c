/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/mail/desk.h"

TestSuite(mail_send);

static void sends(const char *version)
{
    struct desk *d = desk_new(version, NULL);

    desk_open(d, NULL);
    desk_expect(d, 2, JOBQ_DONE, "");
    cr_assert_eq(smtp_mails(d->smtp), 1);
    cr_assert_eq(desk_recorded(d), 1);
    cr_assert_eq(handler_run(d->mail, PRIVATE, desk_private(d, 3)), JOBQ_DONE, "%s", d->mail->text);
    cr_assert_eq(smtp_mails(d->smtp), 2, "%s", d->mail->text);
    desk_free(d);
}

Test(mail_send, a_reply_and_a_private_thread_of_039)
{
    sends("0.39");
}

Test(mail_send, a_reply_and_a_private_thread_of_040)
{
    sends("0.40");
}
