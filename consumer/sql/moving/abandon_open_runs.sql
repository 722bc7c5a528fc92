-- The missing records of these runs are in the old topics.
update runs
set state = 'abandoned', reason = $1
where state = 'open'
returning region, run
