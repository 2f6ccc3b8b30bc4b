"""A count with its noun, as every text says it: 1 key, 2 keys, 1,000 keys."""


def counted(count: int, noun: str, plural: str = "") -> str:
    """The count and what is counted.

    Args:
        count: how many.
        noun: one of them.
        plural: several of them, where an `s` at the end is not enough.

    """
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"
