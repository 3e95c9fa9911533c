"""The watchdog hears only of progress."""

from daemon.pulse import Pulse


def test_a_part_that_stands_still_for_too_long_is_named() -> None:
    pulse = Pulse({"workers": 10.0, "jobs": 100.0}, 0.0)
    assert pulse.stuck(10.0) == []
    assert pulse.stuck(11.0) == ["the workers have not moved for 11 s"]
    pulse.beat("workers", 12.0)
    assert pulse.stuck(20.0) == []
    assert len(pulse.stuck(200.0)) == 2
