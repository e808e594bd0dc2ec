"""Evidence: protocols, controls, verdicts and the report."""
