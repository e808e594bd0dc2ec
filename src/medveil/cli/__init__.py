"""The command line: one thin module a command. Everything heavy is imported inside the command that needs it."""
