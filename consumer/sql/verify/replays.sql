select
    topic || '[' || partition || ']' as what,
    'its position is ' || position || ', but records are counted up to ' || counted_to || ': a replay is running' as finding
from positions
where position < counted_to
