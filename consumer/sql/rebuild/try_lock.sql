-- A session lock: PostgreSQL releases it if the process is killed.
select pg_try_advisory_lock(hashtextextended('catalog-stream rebuild ' || current_schema(), 0))
