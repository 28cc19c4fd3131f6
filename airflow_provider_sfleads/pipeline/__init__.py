"""From the rows of an export to an outcome for each: decide, stage, look up, send, settle."""
