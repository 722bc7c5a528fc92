-- The planner needs the number of rows and the keys. Statistics of wide columns would take longer than the comparison.
analyze
    socrata_datasets (region, domain, id),
    socrata_dataset_stats (region, domain, id, last_run),
    socrata_domains (region, domain),
    socrata_hosts (region, host),
    socrata_agencies (region, host, agency)
