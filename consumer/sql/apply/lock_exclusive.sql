-- The schema lock, exclusive: for transactions that decide about runs.
select pg_advisory_xact_lock(hashtextextended('catalog-stream ' || current_schema(), 0));

-- A separate statement, so that it sees what other transactions committed while this one waited for the lock.
select
    (select max(version) from _sqlx_migrations where success) as revision,
    (select identity::text from installation) as identity,
    nullif(current_setting('catalog_stream.identity', true), '') as expected;
