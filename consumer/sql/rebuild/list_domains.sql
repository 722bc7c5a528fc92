-- The first differing rows, and the columns that differ.
select
    found.kind,
    array[found.region, found.domain] as key,
    array(
        select field.name
        from jsonb_each(to_jsonb(made)) as field (name, value)
        where found.kind = 'different' and field.value is distinct from to_jsonb(held) -> field.name
        order by field.name collate "C"
    ) as columns
from (select region, domain, kind from differing_domains where kind <> 'kept' order by region, domain limit $1) as found
left join socrata_domains as held using (region, domain)
left join shadow_domains as made using (region, domain)
order by found.region, found.domain
