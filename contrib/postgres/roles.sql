-- SPDX-License-Identifier: MIT
-- The roles of jobq in the forum's database: psql -v ON_ERROR_STOP=1 -f roles.sql, as a superuser, in that database.
-- Run again it changes nothing. In this order:
--
--     psql -f roles.sql                as a superuser
--     jobctl init                      as jobq_admin: makes the tables in schema jobq, and owns them
--     psql -f grants/recount-0.40.sql  as the owner of the forum's tables; likewise for each other module, and for a
--                                      forum 0.39 the files with that number
--
-- Give the two that log in a password (\password jobq_worker), or let pg_hba.conf say how they come in.
BEGIN;

DO $$
DECLARE
    r record;
BEGIN
    FOR r IN SELECT * FROM (VALUES
        ('jobq_admin', 'LOGIN'),     -- jobctl init
        ('jobq_worker', 'LOGIN'),    -- jobd: postgres = "host=… dbname=… user=jobq_worker"
        ('jobq_recount', 'NOLOGIN'), -- what one module needs of the forum's tables
        ('jobq_notify', 'NOLOGIN'),
        ('jobq_mail', 'NOLOGIN'),
        ('jobq_avatar', 'NOLOGIN')) wanted(name, login)
    LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = r.name) THEN
            EXECUTE format('CREATE ROLE %I %s NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', r.name, r.login);
        END IF;
    END LOOP;
END
$$;

-- Take out the modules that this deployment does not run.
GRANT jobq_recount, jobq_notify, jobq_mail, jobq_avatar TO jobq_worker;

-- The schema is there before its tables, so that jobq_admin needs no right to make schemas.
CREATE SCHEMA IF NOT EXISTS jobq AUTHORIZATION jobq_admin;
GRANT USAGE, CREATE ON SCHEMA jobq TO jobq_admin;
GRANT USAGE ON SCHEMA jobq TO jobq_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA jobq TO jobq_worker;
ALTER DEFAULT PRIVILEGES FOR ROLE jobq_admin IN SCHEMA jobq GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO jobq_worker;

COMMIT;
