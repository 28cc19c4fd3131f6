"""Keep Salesforce leads in step with a data warehouse from Apache Airflow."""

__version__ = "0.1.0"
