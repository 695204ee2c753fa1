"""Devices: how each is reached, what runs there, and what its figures are worth."""
