update runs
set state = $3, reason = $4, published = $5, applied = $6, dead = $7, retired = 0
where region = $1 and run = $2 and state = 'open'
returning state
