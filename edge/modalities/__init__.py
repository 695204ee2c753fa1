"""What goes into a model: sound, pictures, text, series."""
