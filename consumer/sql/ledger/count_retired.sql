update runs
set retired = retired + $3
where region = $1 and run = $2
