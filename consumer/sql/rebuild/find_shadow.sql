-- The comment of a schema; no row if the schema does not exist.
select obj_description(oid, 'pg_namespace')
from pg_namespace
where nspname = $1
