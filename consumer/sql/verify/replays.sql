select
    topic || '[' || partition || ']' as what,
    'it stands at ' || position || ' and was counted up to ' || counted_to || ': a replay is under way' as finding
from positions
where position < counted_to
