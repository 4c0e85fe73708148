"""Running answers behind walls: engines, the warm process, its jobs, and the protocol between."""
