-- Returns for each given row whether its version won, whether it is new, and whether the row before it had the same content
-- (null if the statement's snapshot shows none). After a topic got more partitions, a key may be in two of them, so another
-- transaction may write the same row at the same time.
with given as (
    select *
    from unnest({arrays}) with ordinality
        as given ({columns}, place)
),
-- Compared under the row's lock: the snapshot may show content that another transaction has just replaced.
before as materialized (
    select given.place, found.same
    from given
    cross join lateral (
        select {same_content} as same
        from socrata_{name} as stored
        where {same_key}
        limit 1
        for no key update
    ) as found
),
won as (
    insert into socrata_{name} as stored ({columns})
    select {columns}
    -- The join makes the comparison come first: a row that this statement has replaced could not be locked any more.
    from given
    left join before using (place)
    order by place
    on conflict ({key}) do update
    set
        {set}
    where (stored.last_run, stored.last_page) <= (excluded.last_run, excluded.last_page)
    -- xmax is 0 for an inserted row. For an updated row, `on conflict` first locked the old version, and the new version keeps
    -- that xmax.
    returning {key}, xmax = 0 as inserted
)
select given.place, won.region is not null as won, coalesce(won.inserted, false) as inserted, before.same
from given
left join before using (place)
left join won using ({key})
order by given.place
