-- A session setting contains the program's revision. Rows from before revisions have no hash.
select
    coalesce('revision ' || revision, 'before revisions') as what,
    count(*) || ' rows, such as ' || min(region || '/' || domain || '/' || id) || case
        when revision > current_setting('catalog_stream.form')::integer then ': this program must not overwrite them'
        else ': rewritten when their assets are next published, or by `rebuild`'
    end as finding
from (
    select region, domain, id, get_byte(content_hash, 0) as revision
    from socrata_dataset_stats
) as form
where revision is distinct from current_setting('catalog_stream.form')::integer
group by revision
