update runs
set state = $3, reason = $4
where region = $1 and run = $2
