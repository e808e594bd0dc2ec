"""Methods of open release: ways of changing pictures so that everybody may have them. None needs a key to be seen.

An `Anonymizer` has settings, says what it promises, and makes one released picture of a group of images, which is one
image for most methods. All that is random comes from a key of 32 bytes a picture, which the release draws from the
operating system and forgets. What a release measures of its risk is the audit's business; nothing here says that a
method protects.

- `anonymizer`: `Anonymizer`, `Setting`, `Candidate`, `Labels`.
- `registry`: `get_anonymizer`, `settings_of`, `model_for`.
- `model`: `AnonymizerModel`, what a method learned; `learning`: `learn_model`, which `medveil train` runs.
- `pixelate`: `Pixelate`.
- `dp_pix`: `DPPix`.
- `warp`: `Warp`.
- `mixup`: `Mixup`.
- `k_same`: `KSame`.
- `prichexy`: `Prichexy`, which learns.
- `cohort`: `Cohort`, on what `population` knows of other people's pictures.
- `planes`: what they do to a plane of pixels; `registration`: laying one picture over another.

To add a method: a module with a class derived from `Anonymizer`, and a line in `registry`; another package brings one
as an entry point of the group `medveil.anonymizers`. No method imports an attack.
"""
