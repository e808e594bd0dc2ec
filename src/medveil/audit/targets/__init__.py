"""Targets: what is audited. A release of one kind, with its originals and who is in them."""
