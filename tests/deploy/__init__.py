"""Review, deployment and notification, from a real git repository to moto and an HTTP receiver."""
