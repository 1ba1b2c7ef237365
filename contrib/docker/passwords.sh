#!/bin/sh
# SPDX-License-Identifier: MIT
# Gives the two roles that log in their password: run by the image of PostgreSQL when it makes its database.
set -eu
psql -X -v ON_ERROR_STOP=1 -v password="$JOBQ_PASSWORD" -U postgres -d "$POSTGRES_DB" <<'END'
ALTER ROLE jobq_admin PASSWORD :'password';
ALTER ROLE jobq_worker PASSWORD :'password';
END
