-- The accepted full crawls that confirm absences together with run $2, which ended at $3: at least $4 of them with
-- this one, over at least two days. No rows if there are too few.
with earlier as (
    select run, ended_at, marker, row_number() over (order by run desc) as number
    from runs
    where region = $1 and run < $2 and mode = 'full' and 'datasets' = any (kinds)
        and state in ('balanced', 'released')
),
first as (
    select max(run) as run
    from earlier
    where number >= $4 - 1 and $3 - ended_at >= interval '2 days'
)
select earlier.run, earlier.marker
from earlier
join first on earlier.run >= first.run
order by earlier.run
