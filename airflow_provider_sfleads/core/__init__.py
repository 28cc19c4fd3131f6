"""The sync in values: no Airflow, no requests, no sockets, files, clock or randomness."""
