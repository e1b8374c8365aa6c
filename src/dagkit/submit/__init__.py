"""From an image repository to a branch of the DAG repository."""
