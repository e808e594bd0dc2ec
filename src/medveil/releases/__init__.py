"""Packages, releases, manifests: what lies on disk, and the verbs share, open, grant, revoke, rotate and verify.

Data, out. `sharing.share` lists the inputs, fixes the `settings` that hold for all, and has `packages/packing` make a
`Package` of each (image, code, protected code, sections) in worker processes (`workers`). It opens what it sealed, and
compares. All grows in `writing/staging`; `writing/commit` makes it the release in one rename. Data, back. `verifying`
checks signatures and digests, `access` finds what a key opens, `packages/unpacking` makes an image of a package again,
and `opening` writes it.

Import:
- `sharing.share`, `settings.ShareSettings`, `opening.open_release`, `release.Release`, `verifying.verify`.
- `granting`: `grant`, `revoke`, `Request`. `deputies.owned_state`: who may change a release. `rotating.rotate`.
  `inspecting.inspect`. `listing.list_originals`. The most used of them are names of `medveil` itself.
- `anonymizing.anonymize`: an open release, of plain pictures; `records/open_record` is what is signed of it.

What is where: in `records/`, `manifest` and `ledger` are what is signed, `state` both of them together, `owner_records`
what only owners know, `pins` what this machine has seen of a release before, `released` what it released openly;
`weights` is the codec's weights; `dataset` and `label_file` serve training from a release.

What holds:
- A change of a release has happened when its last rename has, and not before; a killed run goes on where it stopped.
- Nothing is read that the manifest's digests don't name; a changed, missing or foreign file is an IntegrityError.
- What everybody sees doesn't depend on an image, but for lengths where docs/security.md says so.
- Format 1 is frozen: tests/vectors holds releases that stay readable, and tests/reader is a second reader.

To add a section: `keys.tiers.Section`, then `packing` and `unpacking`. A field that all see: `manifest` or `package`,
where older readers pass over it, docs/format.md, and the second reader. An option of share: `settings`.
"""
