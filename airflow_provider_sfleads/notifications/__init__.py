"""Messages about syncs."""
