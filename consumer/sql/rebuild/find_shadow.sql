-- What a schema's comment says; no row where there is no such schema.
select obj_description(oid, 'pg_namespace')
from pg_namespace
where nspname = $1
