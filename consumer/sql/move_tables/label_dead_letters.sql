-- Labels the dead letters of the topics ($1; null for all) that the tables leave. $2: where those topics were.
update dead_letters
set cluster = $2
where cluster = '' and ($1::text is null or topic = $1)
