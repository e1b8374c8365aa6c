"""What the DAG repository accepts: a rule is one class, what it finds is a `Finding`.

A rule takes only the inputs it names (`inputs.py`), and the runner knows nothing about any of them: adding a
rule touches the module of its family and its test.
"""
