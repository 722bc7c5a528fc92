select
    topic || '[' || partition || ']' as what,
    'its position is ' || position || ', but records are counted only up to ' || counted_to
        || ': an operator skipped the records between them' as finding
from positions
where position > counted_to
