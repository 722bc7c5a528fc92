-- The first differing rows, and the columns that differ.
select
    found.kind,
    array[found.region, found.host] as key,
    array(
        select field.name
        from jsonb_each(to_jsonb(made)) as field (name, value)
        where found.kind = 'different' and field.value is distinct from to_jsonb(held) -> field.name
        order by field.name collate "C"
    ) as columns
from (select region, host, kind from differing_hosts where kind <> 'kept' order by region, host limit $1) as found
left join socrata_hosts as held using (region, host)
left join shadow_hosts as made using (region, host)
order by found.region, found.host
