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
-- The rights of a module, where there are the roles of contrib/postgres.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'jobq_worker') THEN
        GRANT SELECT, INSERT ON public.effects, public.echoes, public.subject_effects TO jobq_worker;
        GRANT SELECT ON public.subjects TO jobq_worker;
    END IF;
END
$$;
