"""Rows by the column: what makes an export of millions of rows take seconds of a worker's time."""
