"""A report each night, by the clock of the place that it is for."""
