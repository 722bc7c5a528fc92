delete from run_floors
where $1::text is null or topic = $1
