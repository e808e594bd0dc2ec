"""medveil: share medical images so that only the people you name can see them.

    import medveil

    identity = medveil.Identity.load("alice.key")
    for image in medveil.Release("release").open(identity):
        print(image.pixels.shape)

Nothing heavy is imported until it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medveil.errors import MedveilError
    from medveil.images.image import Image
    from medveil.keys.identity import Identity
    from medveil.keys.recipients import Recipient
    from medveil.keys.tiers import Tier
    from medveil.releases.granting import Request, grant, revoke
    from medveil.releases.opening import open_release
    from medveil.releases.release import Release
    from medveil.releases.rotating import rotate
    from medveil.releases.settings import ShareSettings
    from medveil.releases.sharing import share

    __version__: str

__all__ = [
    "Identity",
    "Image",
    "MedveilError",
    "Recipient",
    "Release",
    "Request",
    "ShareSettings",
    "Tier",
    "__version__",
    "grant",
    "open_release",
    "revoke",
    "rotate",
    "share",
]

_HOMES = {
    "Identity": "medveil.keys.identity",
    "Image": "medveil.images.image",
    "MedveilError": "medveil.errors",
    "Recipient": "medveil.keys.recipients",
    "Release": "medveil.releases.release",
    "Request": "medveil.releases.granting",
    "ShareSettings": "medveil.releases.settings",
    "Tier": "medveil.keys.tiers",
    "grant": "medveil.releases.granting",
    "open_release": "medveil.releases.opening",
    "revoke": "medveil.releases.granting",
    "rotate": "medveil.releases.rotating",
    "share": "medveil.releases.sharing",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("medveil")
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'medveil' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
