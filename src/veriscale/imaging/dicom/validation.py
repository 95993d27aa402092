"""Values of scanners as they stand: neither refused for their form nor quoted in a warning."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def as_they_stand() -> Iterator[None]:
    """Read and write elements without pydicom's checks, whose warnings quote names, dates and identifiers."""
    import pydicom.config

    with pydicom.config.disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
