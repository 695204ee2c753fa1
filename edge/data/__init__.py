"""Prepared data, and how raw data arrive: shards, archives, downloads."""
