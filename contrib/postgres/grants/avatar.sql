-- SPDX-License-Identifier: MIT
-- What the module avatar needs of the tables of a forum 0.39 or 0.40, column by column: psql -v ON_ERROR_STOP=1 -f
-- this file, as their owner, after roles.sql. Run again it changes nothing.
BEGIN;

-- Where the forum's tables are.
GRANT USAGE ON SCHEMA public TO jobq_avatar;

GRANT SELECT (id, is_avatar_locked, avatar_tmp, avatar_src, avatar_crop),
      UPDATE (avatars, avatar_crop, avatar_src, avatar_tmp)
    ON misago_users_user TO jobq_avatar;
GRANT SELECT (id, user_id, size, image), INSERT (user_id, size, image), DELETE ON misago_users_avatar TO jobq_avatar;
GRANT SELECT (image) ON misago_users_avatargallery TO jobq_avatar;

-- The numbers of new rows, where they come from a sequence of its own.
DO $$
DECLARE
    sequence text;
BEGIN
    FOR sequence IN SELECT pg_catalog.pg_get_serial_sequence(t, 'id') FROM unnest(ARRAY['misago_users_avatar']) t
    LOOP
        IF sequence IS NOT NULL THEN
            EXECUTE 'GRANT USAGE ON SEQUENCE ' || sequence || ' TO jobq_avatar';
        END IF;
    END LOOP;
END
$$;

COMMIT;
