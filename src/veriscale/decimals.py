"""Numbers as people write them."""


def shortest(value: float) -> str:
    """The shortest decimal that reads back as the same number."""
    short = f"{value:g}"
    return short if float(short) == value else repr(float(value))
