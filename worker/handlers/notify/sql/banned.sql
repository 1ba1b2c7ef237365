-- Part of the other files, in the middle of a WITH list: who of reader (user_id, username, email) is banned. What the
-- forum remembers of a user holds while it is of the current version and not expired; otherwise its bans are compared.
-- It writes such answers down, this does not.
remembered AS MATERIALIZED (
    SELECT b.user_id, b.ban_id IS NOT NULL AS is_banned
    FROM misago_users_bancache b
    JOIN misago_cache_cacheversion v ON v.cache = 'bans' AND v.version = b.cache_version
    WHERE b.user_id IN (SELECT r.user_id FROM reader r) AND (b.expires_on IS NULL OR b.expires_on >= now())
),
compared AS MATERIALIZED (
    SELECT r.user_id, k.check_type, lower(k.value) AS value
    FROM reader r CROSS JOIN LATERAL (VALUES (0, r.username), (1, r.email)) k(check_type, value)
    WHERE NOT EXISTS (SELECT FROM remembered m WHERE m.user_id = r.user_id)
),
ban AS MATERIALIZED (
    -- A ban with a wildcard becomes a pattern of LIKE, whose own signs are escaped.
    SELECT b.check_type, lower(b.banned_value) AS value, CASE WHEN strpos(b.banned_value, '*') > 0 THEN
        replace(regexp_replace(lower(b.banned_value), '([\\%_])', '\\\1', 'g'), '*', '%') END AS pattern
    FROM misago_users_ban b
    WHERE b.is_checked AND NOT b.registration_only AND (b.expires_on IS NULL OR b.expires_on >= now())
),
banned AS MATERIALIZED (
    SELECT m.user_id FROM remembered m WHERE m.is_banned
    UNION
    SELECT c.user_id FROM compared c
    JOIN ban b ON b.pattern IS NULL AND b.check_type = c.check_type AND b.value = c.value
    UNION
    SELECT c.user_id FROM compared c
    JOIN ban b ON b.check_type = c.check_type AND c.value LIKE b.pattern
)
