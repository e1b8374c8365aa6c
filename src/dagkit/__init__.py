"""From `copier copy` to a tested, reviewed, scheduled Airflow pipeline."""

__version__ = "0.1.0"
