"""The cache: whole entries or none, one maker at a time, logs that survive a failure."""

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ernn.errors import UserError
from ernn.flow.cache import Cache, cache_key
from ernn.flow.process import ToolError, run


def test_an_entry_is_made_once(tmp_path: Path) -> None:
    cache, made = Cache(tmp_path), []

    def make(directory: Path) -> None:
        made.append(directory)
        (directory / "result").write_text("42")

    first = cache.entry("kind", "key", make)
    assert cache.entry("kind", "key", make) == first == tmp_path / "kind" / "key"
    assert (first / "result").read_text() == "42" and len(made) == 1
    assert [path.name for path in (tmp_path / "kind").iterdir()] == ["key"], (
        "no work directory is left"
    )


def test_a_failure_leaves_no_entry_but_its_log(tmp_path: Path) -> None:
    cache = Cache(tmp_path)

    def make(directory: Path) -> None:
        run(
            ["sh", "-c", "echo line one; echo the cause >&2; exit 3"],
            directory,
            directory / "log",
            what="Step",
            timeout=9,
        )

    for _ in range(2):
        with pytest.raises(
            ToolError, match=r"^Step failed \(exit status 3\); the end of .*/failed/kind-key.log"
        ) as caught:
            cache.entry("kind", "key", make)
        assert str(caught.value).endswith("line one\nthe cause")
        assert caught.value.log.read_text() == "line one\nthe cause\n"
    assert list((tmp_path / "kind").iterdir()) == []


def _slow(root: str, counter: str) -> None:
    def make(directory: Path) -> None:
        with Path(counter).open("a") as stream:
            stream.write("made\n")
        time.sleep(0.3)
        (directory / "result").write_text("done")

    assert (Cache(Path(root)).entry("kind", "key", make) / "result").read_text() == "done"


def test_processes_at_the_same_time_make_it_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    arguments = (str(tmp_path / "cache"), str(tmp_path / "counter"))
    workers = [context.Process(target=_slow, args=arguments) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert (tmp_path / "counter").read_text() == "made\n"


def test_a_tool_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(
        ToolError, match=r"^Sleep did not end within 0 s; the end of .*\n(\d+)$"
    ) as caught:
        run(
            ["sh", "-c", "echo $$; sleep 60"], tmp_path, tmp_path / "log", what="Sleep", timeout=0.4
        )
    assert time.monotonic() - began < 10
    with pytest.raises(ProcessLookupError):
        while time.monotonic() - began < 20:  # what is killed is still listed for a moment
            os.kill(int(str(caught.value).rsplit("\n", 1)[1]), 0)
            time.sleep(0.01)


def test_a_tool_ended_by_the_system_says_so(tmp_path: Path) -> None:
    with pytest.raises(
        ToolError, match=r"^Step failed \(ended by signal SIGKILL; out of memory\?\)"
    ):
        run(["sh", "-c", "kill -9 $$"], tmp_path, tmp_path / "log", what="Step", timeout=9)


def test_the_place_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERNN_CACHE", str(tmp_path / "here"))
    assert Cache.default().root == tmp_path / "here"
    monkeypatch.delenv("ERNN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Cache.default().root == tmp_path / "ernn"


def test_a_cache_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UserError,
        match=r"the cache .*/file/cache cannot be written \(Not a directory\): set ERNN_CACHE",
    ):
        Cache(tmp_path / "file" / "cache").entry("kind", "key", lambda directory: None)


@given(st.lists(st.binary(max_size=4), max_size=4), st.lists(st.binary(max_size=4), max_size=4))
def test_keys_differ_where_parts_differ(a: list[bytes], b: list[bytes]) -> None:
    assert (cache_key(*a) == cache_key(*b)) == (a == b)


def test_an_interrupt_ends_tools_that_run_side_by_side(tmp_path: Path) -> None:
    program = """if True:
        import os, signal, sys, threading
        from pathlib import Path
        from ernn.flow.process import run, side_by_side
        folder = Path(sys.argv[1])
        # A process that a shell put in the background begins with SIGINT ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        def tool(name): run(["sleep", "60"], folder, folder / name, what=name, timeout=99)
        threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()
        try: side_by_side(tool, ["a", "b"])
        except KeyboardInterrupt: print("interrupted")
    """
    began = time.monotonic()
    answer = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert answer.stdout == "interrupted\n" and time.monotonic() - began < 30
