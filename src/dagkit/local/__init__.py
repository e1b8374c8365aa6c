"""A pipeline running here: local AWS, the authority, the engines, the run and its report."""
