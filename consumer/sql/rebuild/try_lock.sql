-- Held by the session, so it goes with a process that is killed.
select pg_try_advisory_lock(hashtextextended('catalog-stream rebuild ' || current_schema(), 0))
