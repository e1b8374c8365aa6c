"""What tests run things with: locked environments, local services, and the workflows themselves."""
