-- Statements that make writes to the shadow cheaper ($1, identified by its comment, $2). It is recreated after a crash, so
-- its tables need no WAL. It is only read sequentially, so it needs no index except the primary keys.
with shadow as (
    select oid, nspname
    from pg_namespace
    where nspname = $1 and obj_description(oid, 'pg_namespace') = $2
)
select format('alter table %I.%I set unlogged', shadow.nspname, tables.relname)
from shadow
join pg_class as tables on tables.relnamespace = shadow.oid
where tables.relkind = 'r' and tables.relpersistence = 'p'
union all
select format('drop index %I.%I', shadow.nspname, indexes.relname)
from shadow
join pg_class as indexes on indexes.relnamespace = shadow.oid
join pg_index on pg_index.indexrelid = indexes.oid
where not exists (select from pg_constraint where pg_constraint.conindid = indexes.oid)
