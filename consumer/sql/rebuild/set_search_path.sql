-- Until the transaction ends.
select set_config('search_path', $1, true)
