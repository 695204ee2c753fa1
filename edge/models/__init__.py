"""Networks, how they are trained, and the file formats they are converted to."""
