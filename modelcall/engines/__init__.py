"""Where jobs run: in this process; later on more cores and machines."""
