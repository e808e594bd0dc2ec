"""The report: what an audit found, as a page that a privacy officer reads and signs. Sentences are made here alone.

Data: an `Audit` of medveil.audit.results goes in, a folder with report.html, figures/ and report.json comes out.
`first_page` says what was released, to whom, what was tried and what a stranger gets: it is signed. `sentences` says
what the numbers of attacks and tasks mean, `findings` what led to the conclusion; `amounts` puts numbers into words.
`tables` lays out what report.json holds. `charts` draws the numbers, `image_strips` pictures of patients. `page` puts
all of it into `templates/` and writes the folder.

Import:
- `page.write_report`: the whole folder; hand it to `medveil.audit.audit_run.audit_release`.
- `page.full_record`: what report.json holds, sentences beside the codes.
- `sentences.headline`: the conclusion in one sentence, as the command line prints it too.

What holds:
- Every number on the page stands in report.json; a sentence says no more than the numbers do.
- The page loads nothing and has no script; text of others is escaped.
- The folder is 0700 and its files 0600. No name of a patient and no path is in it; pictures only where allowed.
- The same audit gives the same bytes.
"""
