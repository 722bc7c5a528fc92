-- What the topic says.
insert into verdicts as held (region, run, state, reason, ended_at, decided_at, published)
values ($1, $2, $3, $4, $5, $6, true)
on conflict (region, run) do update
set
    state = excluded.state,
    reason = excluded.reason,
    ended_at = excluded.ended_at,
    decided_at = excluded.decided_at,
    published = excluded.published
