"""A count by key is bounded, and begins anew when told."""

from crossfade.convergence.key_counter import KeyCounter


def test_each_key_counts_on_its_own() -> None:
    """From zero, one by one."""
    counter = KeyCounter()

    counted = [counter.add("customers", (1,)), counter.add("customers", (1,))]

    assert counted == [1, 2]
    assert counter.count("customers", (2,)) == 0
    assert counter.count("orders", (1,)) == 0


def test_a_key_that_is_forgotten_begins_anew() -> None:
    """And an unknown one is no error."""
    counter = KeyCounter()
    counter.add("customers", (1,))

    counter.forget("customers", (1,))
    counter.forget("customers", (2,))

    assert counter.count("customers", (1,)) == 0


def test_more_keys_than_the_bound_begin_all_anew() -> None:
    """Memory stays bounded, whatever is dirty; a key that is counted already goes on."""
    counter = KeyCounter(keys_max=2)
    for key in ((1,), (2,), (2,)):
        counter.add("customers", key)
    before = counter.count("customers", (2,))

    counter.add("customers", (3,))

    assert (before, counter.count("customers", (2,))) == (2, 0)
    assert counter.count("customers", (3,)) == 1
