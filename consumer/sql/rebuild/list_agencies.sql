-- The first differing rows, and the columns that differ.
select
    found.kind,
    array[found.region, found.host, found.agency] as key,
    array(
        select field.name
        from jsonb_each(to_jsonb(made)) as field (name, value)
        where found.kind = 'different' and field.value is distinct from to_jsonb(held) -> field.name
        order by field.name collate "C"
    ) as columns
from (select region, host, agency, kind from differing_agencies where kind <> 'kept' order by region, host, agency limit $1) as found
left join socrata_agencies as held using (region, host, agency)
left join shadow_agencies as made using (region, host, agency)
order by found.region, found.host, found.agency
