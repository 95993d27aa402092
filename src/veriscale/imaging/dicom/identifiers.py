"""Unique identifiers made of what they identify."""

import hashlib
from uuid import UUID, uuid5

_OURS = UUID("6f1a2c0e-8d0b-5a7e-9a53-27c64a1f3b90")


def uid_of(*parts: bytes | str) -> str:
    """A UID that depends on the parts alone: the same content has the same one, on every machine.

    Source: DICOM PS3.5 annex B.2, UUID derived UID, of a version 5 UUID.
    """
    digest = hashlib.sha256()
    for part in parts:
        each = part.encode() if isinstance(part, str) else part
        digest.update(len(each).to_bytes(8, "little") + each)
    return f"2.25.{uuid5(_OURS, digest.hexdigest()).int}"
