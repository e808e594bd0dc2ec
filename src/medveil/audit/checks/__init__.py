"""Checks of a release itself: `form_checks` does them all, by counting and comparing; nothing is drawn by chance."""
