"""Tasks: what a researcher does with opened images, one module each, one registry."""
