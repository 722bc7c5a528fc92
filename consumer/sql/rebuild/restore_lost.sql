-- Statements that give the live schema ($1) what it lacks of another ($2), where all is as the migrations make
-- it. Tables move over with their indexes and comments; views are made again in the live schema. Their texts name no
-- schema, because the session looks into the one that they are read from, and into the live one when they are made. The books are no view of the topics: they can't be made again.
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
