-- A table that the shadow has and the live schema lacks.
select relname::text
from pg_class as made
where relnamespace = to_regnamespace($1) and relkind = 'r'
    and not exists (
        select from pg_class as held
        where held.relnamespace = current_schema()::regnamespace and held.relname = made.relname
    )
order by relname
limit 1
