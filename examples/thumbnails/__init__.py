"""Pictures made small in processes, on all cores."""
