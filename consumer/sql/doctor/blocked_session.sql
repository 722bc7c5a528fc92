-- The session that has waited longest for a lock, one that blocks it, and the longest wait of all sessions. A blocking session
-- that waits itself comes last, because ending it would not help: what it waits for is the cause. A session of another user has
-- no details here unless this user may read them.
select
    waiting.pid as waiting_pid,
    extract(epoch from clock_timestamp() - waited.since)::float8 as seconds,
    extract(epoch from clock_timestamp() - min(waited.since) over ())::float8 as longest,
    blocking.pid as blocking_pid,
    coalesce(blocking.usename::text, '') as blocking_user,
    coalesce(blocking.application_name, '') as blocking_application
from pg_catalog.pg_stat_activity as waiting
cross join lateral (
    select min(pg_locks.waitstart) as since
    from pg_catalog.pg_locks
    where pg_locks.pid = waiting.pid and not pg_locks.granted
) as waited
cross join lateral unnest(pg_blocking_pids(waiting.pid)) as blockers (pid)
join pg_catalog.pg_stat_activity as blocking on blocking.pid = blockers.pid
where waiting.datname = current_database() and waited.since is not null
order by cardinality(pg_blocking_pids(blocking.pid)) > 0, waited.since, blocking.pid
limit 1
