-- A table that the shadow has and the live schema lacks; a catalog table only if no replacement is ready ($2).
select relname::text
from pg_class as made
where relnamespace = to_regnamespace($1) and relkind = 'r'
    and not ($2 and starts_with(relname, 'socrata_'))
    and not exists (
        select from pg_class as held
        where held.relnamespace = current_schema()::regnamespace and held.relname = made.relname
    )
order by relname
limit 1
