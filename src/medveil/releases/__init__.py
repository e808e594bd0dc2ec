"""Packages, releases, manifests: what lies on disk, and the verbs share, open, verify, inspect and list."""
