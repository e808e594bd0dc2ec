"""The audit of a release of the test fold at level `obfuscated`: see `benchmarks.audit_release`."""

from __future__ import annotations

from functools import partial

from benchmarks import audit_release

run = partial(audit_release.run, "obfuscated")

if __name__ == "__main__":
    audit_release.main("obfuscated")
