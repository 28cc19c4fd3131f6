"""What a sync writes: results and rejects per row, the report, and the state it writes back to the warehouse."""
