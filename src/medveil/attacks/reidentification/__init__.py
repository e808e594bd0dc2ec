"""Attacks that ask whether two images are of one person, by what is public of them."""
