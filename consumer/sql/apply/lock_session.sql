-- The schema lock, alone and for as long as the session lasts: no batch is in flight while tables change their shape.
select pg_advisory_lock(hashtextextended('catalog-stream ' || current_schema(), 0))
