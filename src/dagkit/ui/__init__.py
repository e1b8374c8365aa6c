"""The real Airflow on this machine: scheduler and web page, its pods on the engines of a local run."""
