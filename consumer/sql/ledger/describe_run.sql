update runs
set mode = $3, kinds = $4, scope = $5, started_at = $6, ended_at = $7, marker = $8
where region = $1 and run = $2 and marker is null
