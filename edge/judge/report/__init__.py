"""The report of a run against an earlier one."""
