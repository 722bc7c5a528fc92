-- Statements that give the live schema ($1) the tables and views that it lacks, from schema $2, where the migrations have
-- created all of them. Tables move with their indexes and comments. Views are created again in the live schema. Their
-- definitions name no schema, because the search path names $2 when they are read and the live schema when they are
-- created. The ledger can't be derived from the topics, so its tables can't be recreated.
with lost as (
    select oid, relname, relkind
    from pg_class as made
    where relnamespace = to_regnamespace(quote_ident($2))
        and (relkind = 'v' or (relkind = 'r' and starts_with(relname, 'socrata_')))
        and not exists (
            select from pg_class as existing
            where existing.relnamespace = to_regnamespace(quote_ident($1)) and existing.relname = made.relname
        )
)
select statement
from (
    select 1 as step, oid, 0 as part, format('alter table %I.%I set schema %I', $2, relname, $1) as statement
    from lost
    where relkind = 'r'
    union all
    select 2, oid, 0, format('create view %I.%I as %s', $1, relname, pg_get_viewdef(oid))
    from lost
    where relkind = 'v'
    union all
    select 3, lost.oid, objsubid,
        case
            when objsubid = 0 then format('comment on view %I.%I is %L', $1, relname, description)
            else format('comment on column %I.%I.%I is %L', $1, relname, attname, description)
        end
    from lost
    join pg_description on objoid = lost.oid and classoid = 'pg_class'::regclass
    left join pg_attribute on attrelid = lost.oid and attnum = objsubid
    where relkind = 'v'
) as steps
order by step, oid, part
