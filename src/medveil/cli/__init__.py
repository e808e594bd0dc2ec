"""The command line: thin modules that ask the other rooms and print what they answer.

Data. `main` lists the commands; `commands.Commands` parses, without repeating what was typed. A command declares its
options (those of several commands come from `options`), and does its work within `session.session(...)`: that times
it, keeps stdout for the result and stderr for the rest, prints one object with `--json`, and turns a `MedveilError`
into its exit code. `owner` and `passphrase` find the keys that a command works with.

Import: nothing outside this room imports from it. `main.run` is the program `medveil`.

A command is in the module of its name. `standing` says where a release stands after a change, `text` sizes and
fidelity in words; `demo_picture` draws what the demo shows.

What holds:
- `medveil --help` answers within 0.4 s: what is heavy is imported inside the command that needs it.
- An input is `#n` in every message. Paths and names stand only in the list of `input_list`, for the user alone.
- What comes from a release or a path goes through `printable.shown` before it is printed to a terminal.
- Messages, hints and exit codes come from `medveil.errors`; an error that nobody expected is told by its class only.

To add a command: a module with a function that typer reads, its line in `main`, its section in docs/reference.md
(tests/test_readme.py compares every option) and its name in tests/test_house.py.
"""
