"""The "Lead syncs" page: what it shows, and who may see it."""
