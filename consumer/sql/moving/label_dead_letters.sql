-- Dead letters of the topics ($1; null for all) that the tables move away from. $2: the cluster of those topics.
update dead_letters
set cluster = $2
where cluster = '' and ($1::text is null or topic = $1)
