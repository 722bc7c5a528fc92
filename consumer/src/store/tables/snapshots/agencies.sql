-- Returns for each given row whether its version won, whether it is new, and whether the row before it had the same content
-- (null if the statement's snapshot shows none). After a topic got more partitions, a key may be in two of them, so another
-- transaction may write the same row at the same time.
with given as (
    select *
    from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::timestamptz[]) with ordinality
        as given (region, host, agency, last_run, last_page, observed_at, place)
),
-- Compared under the row's lock: the snapshot may show content that another transaction has just replaced.
before as materialized (
    select given.place, found.same
    from given
    cross join lateral (
        select true as same
        from socrata_agencies as stored
        where stored.region = given.region and stored.host = given.host and stored.agency = given.agency
        limit 1
        for no key update
    ) as found
),
won as (
    insert into socrata_agencies as stored (region, host, agency, last_run, last_page, observed_at)
    select region, host, agency, last_run, last_page, observed_at
    -- The join makes the comparison come first: a row that this statement has replaced could not be locked any more.
    from given
    left join before using (place)
    order by place
    on conflict (region, host, agency) do update
    set
        last_run = excluded.last_run, last_page = excluded.last_page, observed_at = excluded.observed_at
    where (stored.last_run, stored.last_page) <= (excluded.last_run, excluded.last_page)
    -- xmax is 0 for an inserted row. For an updated row, `on conflict` first locked the old version, and the new version keeps
    -- that xmax.
    returning region, host, agency, xmax = 0 as inserted
)
select given.place, won.region is not null as won, coalesce(won.inserted, false) as inserted, before.same
from given
left join before using (place)
left join won using (region, host, agency)
order by given.place;

-- Adds the keys of records that were read since the candidates were found. Takes an array per column of the key.
insert into candidates_agencies (region, host, agency)
select region, host, agency
from unnest($1::text[], $2::text[], $3::text[]) as given (region, host, agency)
except
select region, host, agency
from candidates_agencies;

with removed as (
    delete from socrata_agencies as stored
    using differing_agencies as found
    where stored.region = found.region and stored.host = found.host and stored.agency = found.agency
        and found.kind = 'extra' and found.place between $1 and $2
)
insert into socrata_agencies (
    region, host, agency, last_run, last_page, observed_at
)
select
    made.region, made.host, made.agency, made.last_run, made.last_page, made.observed_at
-- Usually in the order of the keys, so that the indexes grow at their ends: the planner expects few rows, and looks each up. Only
-- keys are sorted, because whole rows would not fit into memory.
from (
    select region, host, agency
    from differing_agencies
    where kind in ('missing', 'different') and place between $1 and $2
    order by place
) as found
join shadow_agencies as made using (region, host, agency)
on conflict (region, host, agency) do update
set
    last_run = excluded.last_run, last_page = excluded.last_page, observed_at = excluded.observed_at;

-- Counts the rows that differ.
select
    'socrata_agencies' as name,
    count(*) filter (where kind = 'missing') as missing,
    count(*) filter (where kind = 'different') as different,
    count(*) filter (where kind = 'extra') as extra,
    count(*) filter (where kind = 'refused') as refused,
    count(*) filter (where kind = 'kept') as kept
from differing_agencies;

-- Counts the rows that the topics define.
select count(*) from shadow_agencies;

-- The first differing rows by key, and the columns that differ.
select
    found.kind,
    array[found.region, found.host, found.agency] as key,
    array(
        select field.name
        from jsonb_each(to_jsonb(made)) as field (name, value)
        where found.kind = 'different' and field.value is distinct from to_jsonb(stored) -> field.name
        order by field.name collate "C"
    ) as columns
from (select region, host, agency, kind from differing_agencies where kind <> 'kept' order by region, host, agency limit $1) as found
left join socrata_agencies as stored using (region, host, agency)
left join shadow_agencies as made using (region, host, agency)
order by found.region, found.host, found.agency;

-- Marks a row that the database refused to write or to delete. It stays as it is.
update differing_agencies
set kind = 'refused'
where place = $1
returning array[region, host, agency] as key;
