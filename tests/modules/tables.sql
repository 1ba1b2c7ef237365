-- SPDX-License-Identifier: MIT
-- What the handlers of test_pg.so write to. No unique constraints: an effect that happens twice must be seen twice.
CREATE TABLE IF NOT EXISTS public.effects (
    job_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE IF NOT EXISTS public.echoes (
    job_id uuid NOT NULL,
    payload bytea NOT NULL
);
CREATE TABLE IF NOT EXISTS public.subjects (
    id bigint PRIMARY KEY
);
CREATE TABLE IF NOT EXISTS public.subject_effects (
    job_id uuid NOT NULL,
    subject bigint REFERENCES public.subjects DEFERRABLE INITIALLY DEFERRED
);
