update runs
set mode = $3, kinds = $4, started_at = $5, ended_at = $6, marker = $7
where region = $1 and run = $2 and marker is null
