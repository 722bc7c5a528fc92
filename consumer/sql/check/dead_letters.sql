-- Open dead letters. Some belong to no known region, so they count for every region.
select count(*) as open, min(id) as first, extract(epoch from now() - min(seen_at))::float8 as age
from dead_letters
where state = 'open' and ($1::text is null or region is null or region = $1)
