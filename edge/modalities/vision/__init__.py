"""Pictures: read, resized, collected, augmented."""
