"""Where jobs run: in this process, or in many on this machine; later on more machines."""
