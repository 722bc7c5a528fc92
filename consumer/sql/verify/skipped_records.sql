select
    topic || '[' || partition || ']' as what,
    'it stands at ' || position || ' and was counted up to ' || counted_to
        || ': an operator has moved it past what lies between' as finding
from positions
where position > counted_to
