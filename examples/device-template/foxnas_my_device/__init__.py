"""A device kind for foxnas."""
