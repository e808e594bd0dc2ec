"""Files on disk: writing them whole, finding them, reading what strangers wrote, naming them safely.

Data. `walk.find_files` lists the files of what a user named, with a problem in words where one cannot be read.
`reading` reads a regular file and never more of it than is allowed; `canonical.loads` turns bytes that somebody else
wrote into plain values. `canonical.dumps` goes back, and `atomic.write_bytes` puts the bytes on disk.
`names.safe_relative` makes of a stored path one that any system can write and none acts upon.

Import:
- `atomic`: `write_bytes`, `move_exclusively`, `move_all`, `remove_all`, `make_folder`, `flush_tree`, `set_times`.
- `canonical`: `dumps`, `loads` (canonical CBOR, the one encoding of every signed or sealed record).
- `walk`: `find_files`, `Found`, `Listing`. `reading.read_regular`. `names.safe_relative`.
- `cells`: `neutral`, `restored` (no cell of a CSV file is a formula).

What holds:
- A file is there whole or not at all, whatever the moment of a crash or a full disk; a folder is flushed before the
  step that relies on it. Nothing that exists is replaced unless the caller says so.
- Reading is bounded in length, depth and number of items before memory is taken, and refuses every other encoding.
- A walk follows no link out of the folder that was named. Reading waits for no device or pipe.
- Messages name no path.

To add: what has to do with files and with no noun of medveil's. Whatever changes a release goes through `atomic`.
"""
