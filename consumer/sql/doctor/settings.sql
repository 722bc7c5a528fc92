-- Settings of the server that sessions can't change and that decide whether data survives or queries stay fast.
select name, setting
from pg_catalog.pg_settings
where name in ('fsync', 'full_page_writes', 'autovacuum', 'track_counts')
order by name
