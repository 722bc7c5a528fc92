select exists (
    select from runs
    where region = $1 and run >= $2 and state in ('balanced', 'released')
)
