"""What goes into a model: sound, text."""
