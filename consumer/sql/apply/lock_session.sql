-- The schema lock, exclusive and until the session ends: no batch is in flight while tables are migrated.
select pg_advisory_lock(hashtextextended('catalog-stream ' || current_schema(), 0))
