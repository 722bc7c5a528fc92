-- What is missing of these runs was left in the old topics.
update runs
set state = 'abandoned', reason = $1
where state = 'open'
returning region, run
