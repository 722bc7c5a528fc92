-- The first differing rows by key, and the columns that differ.
select
    found.kind,
    array[{found_key}] as key,
    array(
        select field.name
        from jsonb_each(to_jsonb(made)) as field (name, value)
        where found.kind = 'different' and field.value is distinct from to_jsonb(stored) -> field.name
        order by field.name collate "C"
    ) as columns
from (select {key}, kind from differing_{name} where kind <> 'kept' order by {key} limit $1) as found
left join socrata_{name} as stored using ({key})
left join shadow_{name} as made using ({key})
order by {found_key}
