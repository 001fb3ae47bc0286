"""What is looked for: particles, membranes, filaments."""
