"""Arrays of numbers in an `.npz` file that somebody else may have made.

NumPy itself would unpack whatever the file claims to hold; here sizes are read before anything is
unpacked, and nothing but plain numbers is.
"""

import io
import zipfile
from collections.abc import Sequence

import numpy as np

from clv.schema import Floats

__all__ = ["read_arrays"]

_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # those that unpack in bounded steps
_HEADER_BYTES = 4_096


def read_arrays(content: bytes, names: Sequence[str], most: int) -> dict[str, Floats]:
    """Read one-dimensional arrays of at most `most` numbers each.

    Raises
    ------
    ValueError
        If the file holds anything else than exactly these. What is damaged may raise whatever
        `zipfile` raises.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        found, expected = sorted(one.filename for one in members), sorted(f"{n}.npy" for n in names)
        if found != expected:
            raise ValueError(f"it holds {', '.join(found)[:200]}; expected {', '.join(expected)}")
        for member in members:
            if member.flag_bits & _ENCRYPTED:
                raise ValueError(f"{member.filename} is encrypted")
            if member.compress_type not in _METHODS:
                raise ValueError(f"{member.filename} is not stored or deflated")
            if member.file_size > 8 * most + _HEADER_BYTES:
                raise ValueError(
                    f"{member.filename} unpacks to {member.file_size:,} bytes; at most {most:,} "
                    "numbers are read"
                )
        return {name: _array(name, _unpacked(archive, f"{name}.npy")) for name in names}


def _unpacked(archive: zipfile.ZipFile, member: str) -> bytes:
    """The content of a member, no more than its size says.

    `ZipFile.read` unpacks up to 2 GiB before it cuts off what goes beyond that size.
    """
    with archive.open(member) as file:
        return file.read(archive.getinfo(member).file_size)


def _array(name: str, content: bytes) -> Floats:
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"{name} has format {version}; expected (1, 0)")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.kind not in "fiu" or len(shape) != 1:
        raise ValueError(f"{name} is {dtype} of shape {shape}; expected numbers in a row")
    numbers = content[file.tell() :]
    if len(numbers) != shape[0] * dtype.itemsize:
        raise ValueError(f"{name} has {len(numbers):,} bytes for {shape[0]:,} numbers")
    return np.frombuffer(numbers, dtype).astype(np.float64)
