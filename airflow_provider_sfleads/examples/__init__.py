"""The example Dags that come with the package, to be copied: ``python -m airflow_provider_sfleads.examples``.

They lie in ``dags/``, which a checkout links to its own folder ``dags``. It is not called ``example_dags``: Airflow 3.3
loads the Dags of such a folder where ``[core] load_examples`` is on, and these would write to an org that is connected.
"""
