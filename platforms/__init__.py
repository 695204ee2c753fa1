"""Where the pipeline runs besides on this machine."""
