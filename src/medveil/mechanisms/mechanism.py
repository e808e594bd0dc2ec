"""Mechanism: a way of publishing images, public in all but its keys. The audit judges one; controls are others."""

from __future__ import annotations

from typing import Protocol

from medveil.codecs.code import SparseCode
from medveil.mechanisms.observation import Observation, Published, Subject
from medveil.mechanisms.public_codec import PublicCodec


class Mechanism(Protocol):
    """One way of publishing images.

    Attributes:
        name: of the release's protection level, or of a control.
        space: the public codec that it uses; None where pixels are encoded without one.
        in_place: whether entries are shown in their own cells of the code (so that decoding them makes sense).
    """

    @property
    def name(self) -> str: ...

    @property
    def space(self) -> PublicCodec | None: ...

    @property
    def in_place(self) -> bool: ...

    def publish(self, subject: Subject, key: bytes) -> Published:
        """Publish one image under a key of 32 bytes, from which everything random about it is drawn.

        The same image and key give the same publication, so that an audit can be repeated.
        """
        ...

    def open(self, observation: Observation, key: bytes) -> SparseCode | None:
        """The true code as whoever holds `key` gets it. None where there is nothing to open.

        Raises:
            IntegrityError: the key is refused.
        """
        ...
