-- SPDX-License-Identifier: MIT
-- What the handlers of test_pg.so write to. No unique constraints: an effect that happens twice must be seen twice.
CREATE TABLE IF NOT EXISTS effects (
    job_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE IF NOT EXISTS echoes (
    job_id uuid NOT NULL,
    payload bytea NOT NULL
);
CREATE TABLE IF NOT EXISTS subjects (
    id bigint PRIMARY KEY
);
CREATE TABLE IF NOT EXISTS subject_effects (
    job_id uuid NOT NULL,
    subject bigint REFERENCES subjects DEFERRABLE INITIALLY DEFERRED
);
