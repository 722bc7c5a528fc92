-- Statements that restore objects which the live schema ($1) lacks, from a freshly migrated schema ($2). Tables are moved
-- with their indexes and comments; views are recreated in the live schema. Their definitions name no schema, because the
-- current schema is the one that they are read from, and the live one when they are created. Ledger tables can't be
-- restored, because the topics don't contain them.
with lost as (
    select oid, relname, relkind
    from pg_class as made
    where relnamespace = to_regnamespace(quote_ident($2))
        and (relkind = 'v' or (relkind = 'r' and starts_with(relname, 'socrata_')))
        and not exists (
            select from pg_class as held
            where held.relnamespace = to_regnamespace(quote_ident($1)) and held.relname = made.relname
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
