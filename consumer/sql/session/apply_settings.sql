-- Applies the settings that the statements rely on, whatever the defaults of the server, the database, the role or a
-- pooler are. Settings that the server's version does not have are skipped. `default_transaction_read_only` is left alone: with
-- it, providers stop writes before a disk is full.
select count(set_config(given.name, given.value, false))
from (
    values
        ('search_path', $1::text),
        ('idle_in_transaction_session_timeout', $2::text),
        ('application_name', 'catalog-consumer'),
        -- Notices only report normal events, such as a schema that already exists.
        ('client_min_messages', 'warning'),
        ('default_transaction_isolation', 'read committed'),
        ('default_transaction_deferrable', 'off'),
        ('statement_timeout', '0'),
        ('lock_timeout', '0'),
        ('idle_session_timeout', '0'),
        -- While the server waits for the data of a COPY, no timeout of a statement or a transaction ends it. These settings
        -- end it within 30 s if the client's machine is lost.
        ('tcp_keepalives_idle', '10'),
        ('tcp_keepalives_interval', '5'),
        ('tcp_keepalives_count', '4'),
        -- A statement whose client has given up ends within this time, so that it does not block the next attempt.
        ('client_connection_check_interval', '10000'),
        ('transaction_timeout', '0'),
        ('client_encoding', 'UTF8'),
        ('standard_conforming_strings', 'on'),
        ('TimeZone', 'UTC'),
        ('DateStyle', 'ISO, MDY'),
        ('IntervalStyle', 'postgres'),
        ('extra_float_digits', '1'),
        ('bytea_output', 'hex'),
        ('array_nulls', 'on'),
        ('plan_cache_mode', 'auto'),
        -- Compiling a statement that compares many columns takes longer than running it.
        ('jit', 'off')
) as given (name, value)
where exists (select from pg_catalog.pg_settings where pg_settings.name = given.name)
    -- A server on Windows can't check that, and refuses the setting.
    and not (given.name = 'client_connection_check_interval' and version() ~* 'visual|msvc|mingw|windows')
