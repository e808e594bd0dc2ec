"""Attacks on the support of a code: which of the entries that everybody sees are true ones."""
