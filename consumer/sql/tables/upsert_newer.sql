-- Returns for each given row whether its version won, and whether the previous row had the same content (null if there
-- was none).
with given as (
    select *
    from unnest({arrays}) with ordinality
        as given ({columns}, place)
),
before as (
    select given.place, {same_content} as same
    from given
    join socrata_{name} as stored on {same_key}
),
won as (
    insert into socrata_{name} as stored ({columns})
    select {columns}
    from given
    on conflict ({key}) do update
    set
        {set}
    where (stored.last_run, stored.last_page) <= (excluded.last_run, excluded.last_page)
    returning {key}
)
select given.place, won.region is not null as won, before.same
from given
left join before using (place)
left join won using ({key})
order by given.place
