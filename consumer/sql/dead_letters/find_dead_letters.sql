-- The open dead letters of a selection: ids ($1; empty for all), region ($2) and run ($3; null for all).
select id
from dead_letters
where state = 'open'
    and (cardinality($1::bigint[]) = 0 or id = any ($1))
    and ($2::text is null or region = $2)
    and ($3::bigint is null or run = $3)
order by id
