-- The transaction that stores an end-of-run record also moves the position past it, and `counted_to` never decreases.
select
    'run ' || run || ' of ' || region || ', ' || topic || '[' || partition || ']' as what,
    'the ledger contains its end-of-run record at offset ' || marker_offset || ', but '
        || coalesce('counts only up to ' || counted_to, 'the partition has no position') as finding
from run_partitions
left join positions using (topic, partition)
where marker_offset >= coalesce(counted_to, 0)
