-- A session lock, so that it is released when the process is killed.
select pg_try_advisory_lock(hashtextextended('catalog-stream rebuild ' || current_schema(), 0))
