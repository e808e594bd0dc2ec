"""From samples to one answer: `pooling` of rounds, `verdicts` on each attack by patient, and the `decision`."""
