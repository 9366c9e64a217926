"""Which customers are held out: decided by their id, so that it never changes.

A customer who was held out once is held out in every later training with the same seed, however
the table grew or was sorted. That is what lets a new model and an old one be compared on rows that
neither has seen.
"""

import hashlib

import numpy as np

from clv.schema import Mask

__all__ = ["held_out"]


def held_out(ids: np.ndarray, *, seed: int, share: float) -> Mask:
    """Mark the customers that training must not see.

    Parameters
    ----------
    ids : array of shape (n,), str
    seed : int
        Another seed holds out other customers.
    share : float
        Expected share held out, 0 to 1.

    Returns
    -------
    array of shape (n,), bool
    """
    limit = int(share * 2**64)
    key = str(seed).encode()

    def score(name: object) -> int:
        digest = hashlib.blake2b(str(name).encode(), digest_size=8, key=key).digest()
        return int.from_bytes(digest, "big")

    return np.fromiter((score(name) < limit for name in ids), dtype=bool, count=len(ids))
