"""Series of numbers: csv files, resampling, windows, generated motion and seasons, poses."""
