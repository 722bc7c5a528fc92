-- The one lock: batches share it, whoever judges runs holds it alone.
select pg_advisory_xact_lock(hashtextextended('catalog-stream ' || current_schema(), 0))
