"""How a release grows beside its place, and becomes what everybody sees in one rename."""
