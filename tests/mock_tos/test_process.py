"""The server in a process of its own, reached through the environment alone; and what it costs."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from modelcall.errors import ConfigError
from modelcall.mock.tos.faults import parse_faults
from modelcall.mock.tos.process import TosProcess
from modelcall.mock.tos.thread import LocalTos
from tests.mock_tos.sdk import BUCKET, OTHER, connected, refused, small

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENT = """
import os, urllib.request
import tos
client = tos.TosClientV2(os.environ["TOS_ACCESS_KEY"], os.environ["TOS_SECRET_KEY"], os.environ["TOS_ENDPOINT"],
                         os.environ["REGION"], dns_cache_time=0, high_latency_log_threshold=1e-9)
client.put_object(os.environ["TOS_BUCKET"], "from/afar", content=b"hello", forbid_overwrite=True)
print(client.get_object(os.environ["TOS_BUCKET"], "from/afar").read().decode())
with urllib.request.urlopen(os.environ["HTTP_PROXY"] + "/__tos__") as answer:  # loopback itself is not behind the proxy
    print(answer.status)
client.close()
"""
MEGABYTE = 1 << 20
LARGE = 64 * MEGABYTE


@pytest.fixture(scope="module")
def process() -> Iterator[TosProcess]:
    with TosProcess(small(faults=parse_faults(["503,key=^never$"]))) as process:
        yield process


def test_another_program_needs_only_the_environment(process: TosProcess) -> None:
    process.control("POST", "/reset")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CLIENT],
        env=process.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["hello", "200"], "")
    log = process.control("GET", "/log")
    assert [(entry["operation"], entry["key"], entry["status"], entry["attempt"]) for entry in log] == [
        ("put_object", "from/afar", 200, 1),
        ("get_object", "from/afar", 200, 1),
    ]
    assert (log[0]["received"], log[1]["sent"]) == (5, 5)


def test_it_is_steered_by_requests(process: TosProcess) -> None:
    assert process.control("GET", "/faults")[0]["key"] == "^never$"
    process.set_faults("503,op=head_object", {"fault": "drop", "key": "^gone"})
    assert [rule["fault"] for rule in process.control("GET", "/faults")] == ["status", "drop"]
    with connected(process) as client:
        assert refused(lambda: client.head_object(BUCKET, "k")).status_code == 503
        process.set_faults()
        client.put_object(OTHER, "k", content=b"123")
        upload_id = client.create_multipart_upload(BUCKET, "k").upload_id
    assert process.control("GET", "/uploads") == [{"bucket": BUCKET, "key": "k", "upload_id": upload_id, "parts": []}]
    entry = next(entry for entry in process.control("GET", "/objects") if entry["bucket"] == OTHER)
    assert (entry["key"], entry["size"], entry["etag"]) == ("k", 3, '"202cb962ac59075b964b07152d234b70"')
    process.control("POST", "/reset")
    report = process.report()
    assert (report["requests"], report["uploads"], report["operations"]) == (0, 1, {})


def test_wrong_steering_changes_nothing(process: TosProcess) -> None:
    process.set_faults("drop,key=^gone")
    with pytest.raises(ConfigError, match="did you mean"):
        process.set_faults("dropp")
    with pytest.raises(ConfigError, match="Nothing is at"):
        process.control("GET", "/nothing")
    with pytest.raises(ConfigError, match="must be a mapping"):
        process.control("POST", "/faults", 7)
    assert [rule["fault"] for rule in process.control("GET", "/faults")] == ["drop"]


def test_it_goes_down_when_it_is_told(process: TosProcess) -> None:
    assert process.control("POST", "/outage", {"seconds": 0.2}) == {"seconds": 0.2}
    deadline = time.monotonic() + 10
    refusals = 0
    while time.monotonic() < deadline:
        try:
            process.report()
        except (OSError, http.client.HTTPException):
            refusals += 1
        else:
            if refusals:
                break
    assert refusals
    with pytest.raises(ConfigError, match="An outage is"):
        process.control("POST", "/outage", {"seconds": True})


def test_large_bodies_cost_little_memory_and_time(process: TosProcess) -> None:
    process.set_faults()
    part = bytes(8 * MEGABYTE)
    with connected(process, enable_crc=False) as client:
        upload_id = client.create_multipart_upload(BUCKET, "large").upload_id
        before = peak(process)
        begun = time.monotonic()
        for number in range(1, LARGE // len(part) + 1):
            client.upload_part(BUCKET, "large", upload_id, number, content=part)
        client.complete_multipart_upload(BUCKET, "large", upload_id, complete_all=True)
        answer = client.get_object(BUCKET, "large")
        received = 0
        while piece := answer.read(MEGABYTE):
            received += len(piece)
        seconds = time.monotonic() - begun
    assert received == LARGE
    assert peak(process) - before <= 24 * MEGABYTE
    assert seconds <= 30  # about one on an idle machine
    print(f"{2 * LARGE / MEGABYTE / seconds:.0f} MB/s in and out")


def test_small_requests_cost_less_than_two_and_a_half_milliseconds(process: TosProcess) -> None:
    process.set_faults()
    count = 200
    with connected(process) as client:
        begun = cpu_seconds(process)
        for number in range(count // 2):
            client.put_object(BUCKET, f"small/{number}", content=b"x")
            client.head_object(BUCKET, f"small/{number}")
        each = (cpu_seconds(process) - begun) / count
    print(f"{each * 1000:.2f} ms of the server's CPU a request")
    assert each <= 0.0025  # 400 a second; on an idle machine less than one


def cpu_seconds(process: TosProcess) -> float:
    times = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")


def peak(process: TosProcess) -> int:
    """Largest resident size of the child so far."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


def test_a_port_or_folder_that_cannot_be_had(tmp_path: Path) -> None:
    with LocalTos(small()) as tos, pytest.raises(ConfigError, match="cannot use port"), LocalTos(small(port=tos.port)):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot use the folder"), TosProcess(small(root=str(tmp_path / "file"))):
        pass


def test_files_are_objects_from_the_start(tmp_path: Path) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "sub" / "ä b.jsonl").write_bytes(b"1\n")
    (tmp_path / "in" / "empty").touch()
    with LocalTos(small(load=str(tmp_path / "in"))) as tos:
        assert tos.keys() == ["empty", "sub/ä b.jsonl"]
        assert (tos.read("empty"), tos.read("sub/ä b.jsonl")) == (b"", b"1\n")
    with pytest.raises(ConfigError, match="it is no folder"), LocalTos(small(load=str(tmp_path / "absent"))):
        pass


def test_a_folder_of_ones_own_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("1")
    with LocalTos(small(root=str(tmp_path))) as tos:
        tos.put("k", b"1")
        assert len(list((tmp_path / "blobs").iterdir())) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_it_ends_while_requests_are_under_way() -> None:
    with LocalTos(small()) as tos, connected(tos) as client:
        tos.put("k", bytes(LARGE))
        answer = client.get_object(BUCKET, "k")
        answer.read(1000)
    with pytest.raises(Exception, match=r"(?i)connection|content-length"):
        b"".join(answer)
