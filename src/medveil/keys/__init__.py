"""Who may open what: identities, recipients, the tier chain, section keys and grants. The only room that wraps keys.

Data. An `Identity` is the secret half of a key: it opens and it signs. A `Recipient` is the public half, one line of
text whatever kind of key it is. A release has one secret an epoch; `tiers.EpochKeys` leads one way from the tier exact
down to preview, and `KeyRing` gives the key of one section of one package. `grants.seal_grant` wraps such keys for one
recipient (`wrapping`) and signs that; `grants.open_grant` gives back a ring.

Import:
- `identity`: `Identity`, `generate`, `default_identity`. `recipients.Recipient`. `openers`: `Opener`, `load_opener`.
- `tiers`: `Tier`, `Section`, `EpochKeys`, `SectionPlace`, `KeyRing`. `grants`: `Grant`, `seal_grant`, `open_grant`.
- `signatures`: `sign`, `signature_fits`.

Which file: age and its keys in `agefile`, `bech32`, `hybrid` (post-quantum) and `passphrases`; ssh in `sshkeys`; X.509
and CMS in `certificates`; public keys that anybody has the secret of in `points`; reading any file of keys, as mail
leaves it too, in `keyfiles`.

What holds:
- Primitives come from pyca/cryptography and age (pyrage); randomness from the operating system and HKDF.
- A key of one tier opens the lower ones and no higher one. The identity root is not derived from the tiers.
- Every failure to unwrap is one error with one text, whatever is wrong and whatever the key: no oracle.
- A secret key file is written 0600, and read only where nobody else may read it, or where the
  environment says so (`ALLOW_OPEN_KEYS` in `keyfiles`). No secret shows in a `repr`.

To add a kind of recipient: seal and open in a module of its own, a member of `recipients.Wrap`, and its lines in
`wrapping` and `openers`. Then docs/format.md, docs/security.md and the second reader in tests/reader.
"""
