"""What makes a code public and needs a key to be undone. Three levels: sealed, encrypted, obfuscated.

Data. `levels` has one object a level, which packing, opening, rotating, inspecting and the mechanisms of an audit all
use: its `protect` takes the codes of an image and gives what is written and what goes into an AEAD; `open` and `reseal`
go back and on. `sealing.seal` takes a `SparseCode`, its composition and a section key, and gives a `PublicCode`:
positions permuted, signs and level stream masked. `support` writes public maps in a length that their shape fixes.
`sealing.unseal` goes back. `encrypting` puts bytes into an AEAD, after `padding` has hidden how long they are.
`ambiguation` mixes true entries with decoys. `keystream` is where all that is random about it is drawn from.
`rendering` shows what a stranger sees.

Import:
- `sealing`: `seal`, `unseal`, `reseal`, `PublicCode`. `encrypting`: `encrypt`, `decrypt`. `padding`: `to_grid`,
  `to_steps`, `to_length`.
- `ambiguation`: `ambiguate`, `purify`. `keystream`: `Keystream`, `fresh_key`, `commit`, `derive`.
- `levels`: `Level`, `Sealed`, `Encrypted`, `Obfuscated`, `level_of`. `rendering`: `public_as_code`, `sealed_pixels`.

What holds:
- sealed: the law of a public code depends on its composition only. The argument is at the head of `sealing`; what it
  takes for granted is in docs/security.md, and tests/protection go through it with narrow words.
- encrypted: a standard AEAD, around codes of one length a bucket.
- obfuscated: nothing is proven; an audit says what can be got back.
- A section key is used for one section of one package and never again.
- Nothing here authenticates a release: the signed manifest does. No key is wrapped here: `keys` does that.

To add a level: its class in `levels`. Then docs/format-codes.md and the second reader in tests/reader.
"""
