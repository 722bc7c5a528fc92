-- The transaction stays active while the last records are read. If the process is suspended, the timeout unblocks the
-- consumers.
set local idle_in_transaction_session_timeout = '60s';
-- The views refer to the current schema, also after a change of search_path.
create or replace temporary view pg_temp.shadow_datasets as select * from socrata_datasets;
create or replace temporary view pg_temp.shadow_dataset_stats as select * from socrata_dataset_stats;
create or replace temporary view pg_temp.shadow_domains as select * from socrata_domains;
create or replace temporary view pg_temp.shadow_hosts as select * from socrata_hosts;
create or replace temporary view pg_temp.shadow_agencies as select * from socrata_agencies;
create or replace temporary view pg_temp.shadow_dead_letters as select * from dead_letters;
create or replace temporary view pg_temp.shadow_positions as select * from positions;
create or replace temporary view pg_temp.shadow_runs as select * from runs;
create or replace temporary view pg_temp.shadow_run_partitions as select * from run_partitions;
create or replace temporary view pg_temp.shadow_verdicts as select * from verdicts;
create or replace temporary view pg_temp.shadow_domain_first_runs as select * from domain_first_runs;
create or replace temporary view pg_temp.shadow_run_shields as select * from run_shields;
