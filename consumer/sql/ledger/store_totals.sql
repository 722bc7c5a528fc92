update runs
set published = $3, applied = $4, dead = $5, retired = 0
where region = $1 and run = $2 and state in ('open', 'abandoned')
returning run
