"""A fleet: bare git repositories, and GitHub's API on this machine."""
