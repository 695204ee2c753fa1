"""What a kind of device must have."""

import pytest

from edge.devices.entries import TRANSPORTS, Device, Local


def test_a_device_that_does_not_say_how_it_is_reached_cannot_be_made():
    """A kind of device without `interpreter` and `connect` is an error when it is made, not when it is used."""
    fields = {"transport": "new", "runtime": "litert", "threads": 1, "root": "edge", "timeout": 9, "wheels": None}
    with pytest.raises(TypeError, match="abstract methods? '?connect'?, '?interpreter"):
        Device(**fields)
    assert Local(**fields | {"transport": "local", "python": None}).interpreter()
    assert not any(kind.__abstractmethods__ for kind in TRANSPORTS.values())
