"""Evidence: a release is attacked and used as a researcher would use it, and a report says what came of it.

Data, in `audit_run.audit_release`: a target goes in, a plan lists units, one runner does them, and judges turn their
results into an `Audit`. `targets/` brings together the release, its originals and who is in them. `request` is what was
asked for, within what a preset (`presets`) spends. `plan` lists attacks in rounds (`protocol`, `scores/`) and on
mechanisms whose answer is known (`control_plan`), recognizers of open releases (`recognition`), `fidelity`, `checks/`
of the form, and tasks (`task_sets`).
`judging/` pools the rounds, judges them by patient and makes one answer. `audit_folder` holds the folder that an audit
grows in, so that an interrupted one goes on. What is written beside report.json (`record`) is up to the caller, who
hands in a writer: the room `report` has one.

Import:
- `audit_run.audit_release`: the whole of it. `audit_run.forecast_release`: what it would do; nothing is written.
- `results` (`Audit`, `AttackResult`, `ControlResult`, `FidelityRow` …): what was found, as plain values.
- `gate`: `read_gate` and `passed_thresholds`, for those who let a machine decide.

What holds:
- Neither the release nor the originals are written to. The report appears at once when it is whole.
- What an attack makes of a package is compared with what it makes of another one; bounds and chance are by patient.
- Whom recognizers find stands beside the null of the best of them, and what they find in untouched pictures.
- A control that did not come out as it must, and a unit that failed, make the whole *too weak to conclude*.
- On one machine the same seed, settings and number of threads give the same report but for its seconds.
- Results are codes and numbers, without a name and without a path. The room `report` makes sentences and pictures.

To add an attack or a task: its own room. A check of the form: a function in `checks/`. A number that trades time for
power: `presets`. What the report is to say: first into `results` and `record`, then
into the room `report`.
"""
