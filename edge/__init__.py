"""The library: rooms that the stages and the commands share."""
