"""Mechanism: a way of publishing images, public in all but its keys. The audit judges one; controls are others."""

from __future__ import annotations

from abc import ABC, abstractmethod

from medveil.codecs.code import SparseCode
from medveil.mechanisms.observation import Case, Observation, Subject
from medveil.mechanisms.public_codec import PublicCodec


class Mechanism(ABC):
    """One way of publishing images. What stands here is that of a way without codec and without key.

    Attributes:
        name: of the release's protection level, of a method, or of a control.
        space: the public codec that it uses; None where pixels are published, or encoded, without one.
        in_place: whether entries are shown in their own cells of the code (so that decoding them makes sense).
    """

    name: str = ""
    space: PublicCodec | None = None
    in_place: bool = False

    @abstractmethod
    def publish(self, subject: Subject, key: bytes) -> Observation:
        """What a stranger gets of one image that is published under a key.

        Args:
            subject: the image.
            key: 32 bytes, from which everything random about it is drawn: the same image and key give the same
                observation, so that an audit can be repeated. A keyless way has no use for it.
        """

    def code_of(self, subject: Subject) -> SparseCode | None:
        """The true code of what is published of an image; None where there is none."""
        return None

    def key_of(self, key: bytes) -> bytes:
        """The secret under which an image is published that is given this key."""
        return key

    def open(self, observation: Observation, key: bytes) -> SparseCode | None:
        """The true code as whoever holds `key` gets it. None where there is nothing to open.

        Raises:
            IntegrityError: the key is refused.
        """
        return None

    def case_of(self, subject: Subject, key: bytes) -> Case:
        """An image with what is published of it, and the truth that its publisher knows."""
        return Case(subject, self.publish(subject, key), self.code_of(subject), self.key_of(key))
