"""The second reader: written from docs/format.md and docs/format-*.md alone, to show that they say everything.

Standard library and `cryptography` only; nothing of medveil and no numpy. One module for each chapter of the documents.
Its tables come from docs/format-tables.json. It is slow and small pictures are all that it is for.
"""
