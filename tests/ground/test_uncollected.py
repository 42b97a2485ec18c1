"""The collector is held off inside, and afterwards as it was, whatever happens."""

import gc

import pytest

from ernn.ground.uncollected import uncollected


@pytest.mark.parametrize("enabled", [True, False])
def test_it_is_as_before(enabled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    state = [enabled]
    monkeypatch.setattr(gc, "isenabled", lambda: state[-1])
    monkeypatch.setattr(gc, "disable", lambda: state.append(False))
    monkeypatch.setattr(gc, "enable", lambda: state.append(True))
    with pytest.raises(ZeroDivisionError), uncollected():
        assert not gc.isenabled()
        raise ZeroDivisionError
    assert gc.isenabled() == enabled
