"""Evidence: a release is attacked and used as a researcher would use it, and a report says what came of it.

Data, in `running.audit_release`. `targets/` brings together the release, its originals, who is in
them, and what may be spent (`presets`). `protocol` plans rounds: who learns from whom, and who is attacked. `scoring`
runs one attack on one round; `control_plan` does the same on mechanisms whose answer is known. `pooling` pools the
rounds, and `verdicts` judges them by patient. `checks` looks at the form of the release, `fidelity` at what recipients
open, and `task_work` and `task_running` do the tasks. `decision` makes one answer of the verdicts and controls;
`record` writes it as report.json. `keeping` keeps each finished part, so that an interrupted audit goes on. What is
written beside report.json is up to the caller, who hands in a writer: the room `report` has one.

Import:
- `running.audit_release`: the whole of it. `forecast.forecast`: what it would do; nothing is written.
- `results` (`Audit`, `AttackResult`, `ControlResult`, `FidelityRow` …): what was found, as plain values.
- `gate`: `read_gate` and `passed_thresholds`, for those who let a machine decide.

What holds:
- Neither the release nor the originals are written to. The report appears at once when it is whole.
- What an attack makes of a package is compared with what it makes of another one; bounds and chance are by patient.
- A control that did not come out as it must makes the whole *too weak to conclude*.
- On one machine the same seed, settings and number of threads give the same report but for its seconds.
- Results are codes and numbers, without a name and without a path. The room `report` makes sentences and pictures.

To add an attack or a task: its own room. A check of the form: a function in `checks`. A number that trades time for
power: `presets`. What the report is to say: first into `results` and `record`, then
into the room `report`.
"""
