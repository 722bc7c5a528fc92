-- The transaction that stores an end-of-run record moves the position past it, and `counted_to` never decreases.
select
    'run ' || run || ' of ' || region || ', ' || topic || '[' || partition || ']' as what,
    'its marker at offset ' || marker_offset || ' is in the ledger, which goes to '
        || coalesce(counted_to::text, 'nowhere: the partition has no position') as finding
from run_partitions
left join positions using (topic, partition)
where marker_offset >= coalesce(counted_to, 0)
