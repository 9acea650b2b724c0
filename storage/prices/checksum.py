"""The checksum of a set of prices: additive, and independent of their order.

The canonical bytes of each price are hashed with BLAKE2b-256 (RFC 7693), and the hashes are added modulo 2**256: the
additive multiset hash of Bellare and Micciancio ("A new paradigm for collision-free hashing", EUROCRYPT 1997). So the
checksums of slices can be computed in any order and added.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

from storage.prices.price import canonical

_MODULUS = 1 << 256


@dataclass(frozen=True, slots=True)
class Checksum:
    """The number of documents and the sum of their hashes."""

    count: int = 0
    value: int = 0

    def __add__(self, other: "Checksum") -> "Checksum":
        return Checksum(self.count + other.count, (self.value + other.value) % _MODULUS)

    @property
    def hex(self) -> str:
        """The sum as 64 hexadecimal digits."""
        return f"{self.value:064x}"


def checksum(documents: Iterable[bytes]) -> Checksum:
    """Return the checksum of BSON documents that `storage.prices.price` encoded."""
    count = total = 0
    for document in documents:
        count += 1
        total += int.from_bytes(blake2b(canonical(document), digest_size=32).digest(), "little")
    return Checksum(count, total % _MODULUS)
