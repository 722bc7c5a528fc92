-- The server's time, and the end of the last run by the clock of its producer; both in seconds since 1970.
select
    extract(epoch from clock_timestamp())::float8 as now,
    (select extract(epoch from max(ended_at))::float8 from runs) as last_end
