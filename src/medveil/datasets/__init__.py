"""Images with what is known of them: manifests of real ones, and patients that are invented.

Data. `manifest.read_manifest` reads a CSV and gives one `Record` an image: its path, its patient, and where the file
says so fold, label, mask and more; `match_rows` says which row is of which file. `splits` deals images out by patient:
`split_files` for training a codec, `splits` for tasks, `dealt_by_patient` for attackers.
`phantoms.make_phantoms` invents patients with several visits each: chest radiographs, lung masks and labels; `anatomy`
builds the chest that the X-rays go through, and `painting` has the tools to draw it with.

Import:
- `manifest`: `Record`, `read_manifest`, `match_rows`.
- `splits`: `Split`, `splits`, `split_files`, `held_out`, `dealt_by_patient`, `validation_patients`.
- `phantoms`: `make_phantoms`, `draw_patient`, `Patient`, `Visit`.

What holds:
- No patient is on both sides of a split. Folds that a manifest names are kept; adding a patient moves no other.
- The same seed gives the same invented patients. Nobody's image went into them.
- A manifest that cannot be right (a path twice, no column for the patient, no row of any file) is refused before
  anything is done.

To add a column that medveil understands: a field of `Record`, and its words in docs/how-to/auditing.md. Another kind
of invented image: beside `phantoms`, with the lines of a `Visit`, so that tests and demo can take it.
"""
