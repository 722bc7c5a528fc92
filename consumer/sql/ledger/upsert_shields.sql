with removed as (
    delete from run_shields
    where region = $1 and run = $2 and not domain = any ($3)
)
insert into run_shields (region, run, domain, reason, confirmed_below, lifted)
select $1, $2, domain, reason, confirmed_below, lifted
from unnest($3::text[], $4::text[], $5::bigint[], $6::boolean[])
    as given (domain, reason, confirmed_below, lifted)
on conflict (region, run, domain) do update
set
    reason = excluded.reason,
    confirmed_below = excluded.confirmed_below,
    lifted = excluded.lifted
