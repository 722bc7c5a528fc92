insert into runs (region, run, state)
select region, run, 'open'
from unnest($1::text[], $2::bigint[]) as given (region, run)
on conflict (region, run) do nothing
