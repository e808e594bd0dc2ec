"""Attacks on keys: guessable and refused ones, seeds of few bits, keys of other packages, and no mask at all."""
