"""A run through Bulk API 2.0: rows staged on disk, jobs, and what became of each row."""
