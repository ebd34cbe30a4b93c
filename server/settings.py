"""The configuration tree: the only reader of the environment."""
