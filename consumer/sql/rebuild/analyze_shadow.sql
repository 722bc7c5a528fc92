analyze socrata_datasets, socrata_dataset_stats, socrata_domains, socrata_hosts, socrata_agencies
