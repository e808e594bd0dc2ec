"""Family 5: networks that make the original of the stranger's picture, as in PRIMIS, Table 4.

U-Net, V-Net, conditional GAN and CycleGAN. The source (Shiri et al. 2024) trains with batches of 30, Adam at 1e-3,
weight decay 1e-4 and the squared error, which preset `paper` repeats; it states neither architectures nor epochs. What
differs: the networks give what is to be added to the mean of the attacker's own pictures, so that one that finds
nothing gives the mean picture; and the paired ones are shrunk towards it by the factor that is best on validation
pictures.

How they are trained stands in `translation_training`, which needs torch: what these attacks are is told without it.
"""

from __future__ import annotations

from typing import ClassVar

from medveil.attacks.applicability import Need
from medveil.attacks.attack import Attacker, Goal, Knowledge


class _Family:
    """What the four attacks have in common."""

    name: ClassVar[str]
    goal = Goal.RECONSTRUCTION
    knows = "the public codec and the mechanism; own images with their packages; no key under attack"
    needs = "public codes, encodings or bytes to make a picture of, and some own images"
    requires = (Need.OWN_IMAGES,)
    trains = True


class _Paired(_Family):
    """Learns from pairs of stranger's picture and original."""

    def fit(self, knowledge: Knowledge) -> Attacker:
        from medveil.attacks.reconstruction.translation_training import fit_pairs

        return fit_pairs(self.name, knowledge)


class UNetAttack(_Paired):
    """See `medveil.attacks.attack.Attack`.

    >>> from medveil.mechanisms.expected_breaks import expected_breaks
    >>> expected_breaks(UNetAttack())[0], str(UNetAttack.goal)
    ('unprotected', 'reconstruction')
    """

    name = "unet"
    title = "U-Net from the stranger's picture to the original"
    cost = "tens of seconds, trains a network"


class VNetAttack(_Paired):
    """V-Net. Of a width below 32 it works at half the size, on squares of 2 × 2 pixels: see `translators.vnet`.

    >>> from medveil.mechanisms.expected_breaks import expected_breaks
    >>> expected_breaks(VNetAttack())[0], str(VNetAttack.goal)
    ('unprotected', 'reconstruction')
    """

    name = "vnet"
    title = "V-Net from the stranger's picture to the original"
    cost = "half a minute, trains a network of 9 million weights"


class ConditionalGanAttack(_Paired):
    """A U-Net that is also to deceive a network which tells true pairs from its own (pix2pix, Isola et al. 2017).

    Deviations: least-squares adversarial loss, and the squared error of PRIMIS besides the absolute one.

    >>> from medveil.mechanisms.expected_breaks import expected_breaks
    >>> expected_breaks(ConditionalGanAttack())[0], str(ConditionalGanAttack.goal)
    ('unprotected', 'reconstruction')
    """

    name = "cgan"
    title = "conditional GAN from the stranger's picture to the original"
    cost = "half a minute, trains two networks"


class CycleGanAttack(_Family):
    """Learns without pairs, from stranger's pictures of one half of the own images and from pictures of the other half.

    CycleGAN (Zhu et al. 2017): translators both ways, each to deceive a network that knows the other side, such that
    there and back again leads home, and that a picture which is already on the other side stays as it is. Deviations:
    U-Nets instead of residual generators, no pool of earlier outputs. The checkpoint is chosen without pairs as well:
    by the way home of held-out stranger's pictures, and by held-out pictures that stay as they are.

    >>> from medveil.mechanisms.expected_breaks import expected_breaks
    >>> expected_breaks(CycleGanAttack())[0], str(CycleGanAttack.goal)
    ('unprotected', 'reconstruction')
    """

    name = "cyclegan"
    title = "CycleGAN, learned without pairs"
    knows = "the public codec and the mechanism; own images, and packages of others whose originals are not used"
    cost = "about a minute, trains four networks"

    def fit(self, knowledge: Knowledge) -> Attacker:
        from medveil.attacks.reconstruction.translation_training import fit_cycle

        return fit_cycle(self.name, knowledge)
