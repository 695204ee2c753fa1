"""What travels to a board: standard library, numpy and a runtime."""
