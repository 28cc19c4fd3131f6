"""The load pipeline: export rows in, outcomes out."""
