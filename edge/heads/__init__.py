"""What comes out of a model, and what it is worth."""
