"""What attacks, tasks, audits and benchmarks share: how pieces of an experiment are made, kept and found again."""
