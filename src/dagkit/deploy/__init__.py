"""From the DAG repository to AWS and to people: roles, DAGs, review, notification."""
