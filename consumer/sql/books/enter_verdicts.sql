-- Into the outbox.
insert into verdicts as held (region, run, state, reason, ended_at, decided_at, published)
select region, run, state, reason, ended_at, now(), false
from runs
where region = $1 and run = any ($2)
on conflict (region, run) do update
set
    state = excluded.state,
    reason = excluded.reason,
    ended_at = excluded.ended_at,
    decided_at = excluded.decided_at,
    published = excluded.published
