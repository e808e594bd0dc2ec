"""What is signed of a release (manifest, ledger, state), what its owners note, and what this machine has seen."""
