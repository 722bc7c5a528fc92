-- The first differing rows, and the columns that differ.
select
    found.kind,
    array[found.region, found.domain, found.id] as key,
    array(
        select field.name
        from jsonb_each(to_jsonb(made)) as field (name, value)
        where found.kind = 'different' and field.value is distinct from to_jsonb(held) -> field.name
        order by field.name collate "C"
    ) as columns
from (select region, domain, id, kind from differing_dataset_stats where kind <> 'kept' order by region, domain, id limit $1) as found
left join socrata_dataset_stats as held using (region, domain, id)
left join shadow_dataset_stats as made using (region, domain, id)
order by found.region, found.domain, found.id
