"""What people and CI run: python -m commands.<verb>."""
