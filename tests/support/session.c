/* SPDX-License-Identifier: MIT */
/* session: see session.h. */
#include "tests/support/session.h"

#include <stdarg.h>
#include <stdlib.h>

#include "tests/support/internal.h"
#include "tests/support/support.h"

PGconn *session_open(const struct postgres *pg)
{
    PGconn *conn = PQconnectdb(pg->conninfo);

    if (PQstatus(conn) != CONNECTION_OK)
        fail_test("connect: %s", PQerrorMessage(conn));
    return conn;
}

void session_do(PGconn *conn, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    char *sql = must_vprintf(format, args);
    va_end(args);
    PGresult *r = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(r);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        fail_test("%s: %s", sql, PQerrorMessage(conn));
    PQclear(r);
    free(sql);
}
