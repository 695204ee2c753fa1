"""What the pipeline tells GitLab about a merge request."""
