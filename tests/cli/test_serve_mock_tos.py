from __future__ import annotations

import json
import shlex
import signal
import urllib.request
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.shell import Shell


def test_it_prints_how_to_reach_it_serves_and_ends_on_a_signal(shell: Shell) -> None:
    options = ["--bucket", "corpus", "--bucket", "other", "--access-key", "AK", "--secret_key", "it's"]
    child = shell.start("serve-mock-tos", *options, "--faults", "503=0.5,op=get_object", "--lifetime", "30s")
    assert child.stdout is not None
    lines = [child.stdout.readline() for _ in range(9)]
    told = dict(shlex.split(line)[1].split("=", 1) for line in lines)
    assert (told["TOS_BUCKET"], told["TOS_ACCESS_KEY"], told["TOS_SECRET_KEY"]) == ("corpus", "AK", "it's")
    assert (told["TOS_ENDPOINT"], told["NO_PROXY"]) == ("http://tos.test", "127.0.0.1,localhost")
    with urllib.request.urlopen(f"{told['HTTP_PROXY']}/__tos__/faults") as response:  # noqa: S310  ours
        assert json.load(response)[0]["status"] == 503
    child.send_signal(signal.SIGTERM)
    out, err = child.communicate(timeout=10)
    assert (child.returncode, out) == (0, "")
    assert err == "served 0 requests, at most 0 in flight; faults: none\n"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--latency", "quick"], "--latency: must be seconds"),
        (["--faults", "cutt"], 'did you mean "cut"'),
        (["--bucket", "A_"], "a bucket's name is"),
    ],
)
def test_wrong_options_are_exit_2(shell: Shell, options: list[str], says: str) -> None:
    done = shell("serve-mock-tos", "--lifetime", "1ms", *options)
    assert (done.code, done.out) == (2, "")
    assert says in done.err
