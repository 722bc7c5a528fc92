-- Abandons the open runs: their missing records are in the old topics.
update runs
set state = 'abandoned', reason = $1
where state = 'open'
returning region, run
