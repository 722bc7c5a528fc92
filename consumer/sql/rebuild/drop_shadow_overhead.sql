-- Statements that lighten the shadow ($1, known by its comment, $2): a table that is made again after a crash needs no
-- log, and one that is only read whole needs no index but its key.
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
