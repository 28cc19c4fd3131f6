"""Example Dags."""
