"""The door for people who type `cookiecutter`."""
