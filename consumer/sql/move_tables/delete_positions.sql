delete from positions
where $1::text is null or topic = $1
