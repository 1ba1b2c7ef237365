-- SPDX-License-Identifier: MIT
-- What jobq keeps in the application's database. "jobctl init" runs this; psql -f does the same, with schema jobq.
-- Run again it changes nothing.
BEGIN;
CREATE SCHEMA IF NOT EXISTS jobq;
SET LOCAL search_path TO jobq;

-- From here on jobctl init runs this file as it is, in the schema that is configured.

-- One row a transactional job, written in the transaction of its effect: a second run finds it and has no effect.
-- children: the jobs it enqueues, kept until they are stored in Redis, then NULL. Old rows are removed by age.
CREATE TABLE IF NOT EXISTS done (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    children bytea
);
CREATE INDEX IF NOT EXISTS done_at ON done (at);

-- Mails that a server accepted: looked at before sending, so that a rerun sends none again.
CREATE TABLE IF NOT EXISTS mail_sent (
    message_id text PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS mail_sent_at ON mail_sent (at);

COMMIT;
