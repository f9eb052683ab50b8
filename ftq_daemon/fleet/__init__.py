"""Several processes of one daemon: started, watched, asked and stopped as one."""
