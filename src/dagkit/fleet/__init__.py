"""Every repository that was made from the template: where each stands, and its next update."""
