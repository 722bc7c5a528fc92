-- Finds a table that the shadow has and the live schema lacks. If spare tables exist ($2), catalog tables don't count.
select relname::text
from pg_class as made
where relnamespace = to_regnamespace($1) and relkind = 'r'
    and not ($2 and starts_with(relname, 'socrata_'))
    and not exists (
        select from pg_class as existing
        where existing.relnamespace = current_schema()::regnamespace and existing.relname = made.relname
    )
order by relname
limit 1
