-- Below which run ($2) of each region ($1) rows stay as they are, because the topics lost what they said before; below
-- every run where it is null.
create temporary table floors on commit drop as
select region, coalesce(run, 9223372036854775807) as run
from unnest($1::text[], $2::bigint[]) as given (region, run)
