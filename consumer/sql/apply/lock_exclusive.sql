-- The schema lock: batches share it, whoever judges runs holds it alone.
select pg_advisory_xact_lock(hashtextextended('catalog-stream ' || current_schema(), 0));

-- A statement of its own, so that it sees what was committed while the lock was waited for.
select
    (select max(version) from _sqlx_migrations where success) as revision,
    (select identity::text from installation) as identity,
    nullif(current_setting('catalog_stream.identity', true), '') as expected;
