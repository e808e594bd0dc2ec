"""Targets: a release under test, of any kind. `target` says what an audit needs; a kind is a module beside it."""
