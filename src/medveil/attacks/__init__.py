"""What an adversary would do: one module an attack, one registry. A mechanism is passed in."""
