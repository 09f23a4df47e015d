from __future__ import annotations

import json
import signal
import urllib.request
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.shell import Shell


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_one_url_serves_and_ends_on_a_signal(shell: Shell, number: signal.Signals) -> None:
    child = shell.start("serve-mock", "--latency", "5ms", "--faults", "server_error=0.5", "--lifetime", "30s")
    assert child.stdout is not None
    base_url = child.stdout.readline().strip()
    assert base_url.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(f"{base_url.removesuffix('/v1')}/__referee__/faults") as response:  # noqa: S310  ours
        assert json.load(response)[0]["rate"] == 0.5
    child.send_signal(number)
    out, err = child.communicate(timeout=10)
    assert (child.returncode, out) == (0, "")
    assert err.startswith("served 0 requests")


def test_its_life_can_be_bounded(shell: Shell) -> None:
    done = shell("serve-mock", "--lifetime", "20ms")
    assert done.code == 0
    assert len(done.out.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--latency", "quick"], "--latency: must be seconds"),
        (["--faults", "mixx=0.1"], 'did you mean "mix"'),
        (["--distribution", "unifrm"], 'did you mean "uniform"'),
        (["--capacity", "0"], "capacity must be above 0"),
    ],
)
def test_wrong_options_are_exit_2(shell: Shell, options: list[str], says: str) -> None:
    done = shell("serve-mock", "--lifetime", "1ms", *options)
    assert done.code == 2
    assert done.out == ""
    assert says in done.err
