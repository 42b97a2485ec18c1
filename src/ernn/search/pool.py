"""Who does the trials: this process, or workers that Ray runs here or on many machines."""

import os
import re
import socket
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from ernn.errors import UserError

ATTEMPTS = 4
"""How often a trial is started when its workers keep dying."""
ADDRESS = re.compile(r"(?:ray://)?([^/:]+):(\d+)")
PATIENCE = 20
"""Seconds that a cluster has to answer."""


@dataclass(frozen=True)
class Failure:
    """What a trial raised, as one line."""

    error: str


class Pool(Protocol):
    """Takes calls by number, and hands back what each gave: its value, or a `Failure`."""

    @property
    def size(self) -> int:
        """Calls that make sense at a time."""
        ...

    def submit(self, number: int, call: Callable[[Any], Any], argument: Any) -> None: ...

    def next(self) -> tuple[int, Any]:
        """The next call that is done; waits for one."""
        ...


@dataclass
class Here:
    """One call at a time, in this process."""

    size: int = 1
    _waiting: list[tuple[int, Callable[[Any], Any], Any]] = field(default_factory=list)

    def submit(self, number: int, call: Callable[[Any], Any], argument: Any) -> None:
        self._waiting.append((number, call, argument))

    def next(self) -> tuple[int, Any]:
        number, call, argument = self._waiting.pop(0)
        try:
            return number, call(argument)
        except Exception as error:  # one failed trial never ends a study
            return number, Failure(one_line(error))


class RayPool:
    """Ray workers: of the cluster at `address`, or of this machine where it is None ("local").

    A call whose worker dies is given to another worker, `ATTEMPTS` times in all. Close it.
    """

    def __init__(self, size: int, address: str | None = None) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        import ray

        if not ray.is_initialized():
            _connect(size, address)
        self.size, self._ray = size, ray
        self._do = ray.remote(max_retries=0, num_cpus=1)(_done)
        self._running: dict[Any, tuple[int, Callable[[Any], Any], Any, int]] = {}

    def submit(self, number: int, call: Callable[[Any], Any], argument: Any) -> None:
        self._start(number, call, argument, 1)

    def next(self) -> tuple[int, Any]:
        while True:
            [ready], _ = self._ray.wait(list(self._running), num_returns=1)
            number, call, argument, attempt = self._running.pop(ready)
            try:
                return number, self._ray.get(ready)
            except self._ray.exceptions.RayTaskError as error:
                return number, Failure(f"it could not be begun on a worker: {error.cause}")
            except self._ray.exceptions.RayError as error:  # the worker or its machine is gone
                if attempt == ATTEMPTS:
                    return number, Failure(f"its worker died {attempt} times: {one_line(error)}")
                self._start(number, call, argument, attempt + 1)

    def close(self) -> None:
        """Let the workers go."""
        self._ray.shutdown()

    def _start(self, number: int, call: Callable[[Any], Any], argument: Any, attempt: int) -> None:
        self._running[self._do.remote(call, argument)] = (number, call, argument, attempt)


def _connect(size: int, address: str | None) -> None:
    import ray

    if address is not None and (place := ADDRESS.fullmatch(address)):
        try:
            socket.create_connection((place[1], int(place[2])), PATIENCE).close()
        except OSError as error:  # Ray itself would wait for ever
            raise UserError(f"no Ray cluster answers at {address!r} ({error})") from None
    try:
        if address is None:
            ray.init(num_cpus=size, include_dashboard=False, log_to_driver=False)
        else:
            ray.init(address=address, log_to_driver=False)
    except ConnectionError as error:
        raise UserError(f"no Ray cluster answers at {address!r} ({one_line(error)})") from None


def _done(call: Callable[[Any], Any], argument: Any) -> Any:
    """What runs on a worker.  A trial's exception comes back as a
    value: a Ray error is a dead worker.
    """
    try:
        return call(argument)
    except Exception as error:
        return Failure(one_line(error))


def one_line(error: BaseException) -> str:
    """An exception's last line."""
    return traceback.format_exception_only(error)[-1].strip().splitlines()[0]
