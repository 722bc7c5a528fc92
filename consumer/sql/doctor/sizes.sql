-- The size of each table with its indexes, in bytes, largest first.
select relname::text as name, pg_total_relation_size(oid) as bytes
from pg_catalog.pg_class
where relnamespace = to_regnamespace(quote_ident($1)) and relkind in ('r', 'p')
order by bytes desc, name
