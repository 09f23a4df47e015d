"""Bugs that somebody might write one day, as patches of the package, and the tests that must notice them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bug:
    """``old`` stands once in ``module``; with ``new`` in its place some of ``tests`` must fail."""

    name: str
    module: str
    old: str
    new: str
    tests: tuple[str, ...]


JOURNAL = "state/file_journal.py"
KILLS = "tests/crash/test_kills.py"
TESTS_OF_JOURNAL = "tests/state/test_journal.py"
TESTS_OF_RUNNER = "tests/pipeline/test_runner.py"
TESTS_OF_COPIES = "tests/state/test_copies.py"
TESTS_OF_STORES = "tests/stores/test_runs.py"
TESTS_OF_TOS = "tests/chaos/test_tos_kills.py"
TESTS_OF_PUBLISH = "tests/pipeline/test_publish.py"
TESTS_OF_TOKENS = "tests/tokens/test_tokens.py"
TESTS_OF_PREPROCESS = "tests/cli/test_preprocess.py"
TESTS_OF_UNIFY = "tests/task_manager/test_unify_schema.py"
TESTS_OF_LEASES = "tests/task_manager/test_leases.py"
TESTS_OF_PARTS = "tests/pipeline/test_parts.py"
TESTS_OF_WORKERS = "tests/cli/test_workers.py"
TESTS_OF_WORKER_JOURNALS = "tests/state/test_worker_journals.py"
TESTS_OF_COPYING = "tests/task_manager/test_copying.py"
TESTS_OF_CREW = "tests/engines/test_crew.py"

BUGS = (
    # what is recorded
    Bug(
        "journal: not synced",
        "fs/append.py",
        "            os.fsync(descriptor)\n",
        "            pass\n",
        ("tests/state",),
    ),
    Bug(
        "journal: a failed sync is tried again",
        "state/journal.py",
        '            self.failure = FatalError(\n                f"the journal',
        '            FatalError(\n                f"the journal',
        (TESTS_OF_JOURNAL,),
    ),
    Bug(
        "journal: what was taken is forgotten before it is written",
        JOURNAL,
        "        self._log.append(data)\n",
        "        self._log.append(data[:0])\n",
        (TESTS_OF_JOURNAL,),
    ),
    Bug(
        "journal: files are opened under a flush",
        "state/journal.py",
        "            return list(self._open.values())\n",
        "            return self._open.values()\n",
        (TESTS_OF_JOURNAL,),
    ),
    Bug(
        "journal: header written with every flush",
        JOURNAL,
        "self._header + data, None",
        "self._header + data, self._header",
        (TESTS_OF_JOURNAL,),
    ),
    Bug(
        "journal: of another input believed",
        "state/segments.py",
        "    if header is not None and header != expected:\n",
        "    if header is not None and header is expected:\n",
        (TESTS_OF_JOURNAL,),
    ),
    Bug(
        "journal: what a replaced owner adds is read",
        "state/segments.py",
        "read_frames(stream, size=segment.size - stream.tell(), damage=damage)",
        "read_frames(stream, size=1 << 60, damage=damage)",
        (TESTS_OF_JOURNAL,),
    ),
    Bug(
        "journal: own epoch counts as earlier",
        "state/segments.py",
        "segment.epoch < before",
        "segment.epoch < before - 1",
        (TESTS_OF_JOURNAL,),
    ),
    Bug(
        "journal: second outcome of a row written",
        JOURNAL,
        "        if self.recorded.add(row):\n            self._buffer",
        "        if self.recorded.add(row) or True:\n            self._buffer",
        (TESTS_OF_JOURNAL,),
    ),
    Bug(
        "row set: off by one",
        "state/row_set.py",
        "byte, bit = row >> 3, 1 << (row & 7)",
        "byte, bit = row >> 3, 1 << (row & 3)",
        (TESTS_OF_JOURNAL,),
    ),
    Bug(
        "row set: covers one row too few",
        "state/row_set.py",
        "        every = (1 << count) - 1\n",
        "        every = (1 << max(0, count - 1)) - 1\n",
        (TESTS_OF_JOURNAL,),
    ),
    Bug(
        "frames: checksum not looked at", "state/frames.py", "!= line[:8]:", "== b'':", ("tests/state/test_frames.py",)
    ),
    Bug(
        "frames: torn tail accepted",
        "state/frames.py",
        "    if len(line) <= _PREFIX or line[-1] != 0x0A or line[8] != 0x20:  # noqa: PLR2004  newline, space\n"
        "        return None\n",
        "    if len(line) <= _PREFIX or line[8] != 0x20:\n"
        "        return None\n"
        "    line = line if line[-1] == 0x0A else line + b'\\n"
        "'\n",
        ("tests/state/test_frames.py",),
    ),
    Bug(
        "fold: a later failure beats a score",
        "state/outcomes.py",
        "at = next((index for index, outcome in enumerate(recorded) if outcome.error_type is None), len(recorded) - 1)",
        "at = len(recorded) - 1",
        ("tests/state",),
    ),
    Bug(
        "fold: attempts of superseded failures are forgotten",
        "state/outcomes.py",
        "replace(recorded[at], attempts=sums[-1].attempts, usage=sums[-1].usage)",
        "recorded[at]",
        ("tests/state",),
    ),
    Bug(
        "lane: what came while nobody had asked is the next answer",
        "llm/aiohttp_target.py",
        "protocol.is_connected() and not protocol.should_close",
        "protocol.is_connected()",
        ("tests/llm/test_lanes.py",),
    ),
    Bug(
        "lane: connections that have waited too long are used again",
        "llm/aiohttp_target.py",
        "if is_quiet and now - since < self._keepalive:",
        "if is_quiet:",
        ("tests/llm/test_aiohttp_target.py",),
    ),
    Bug(
        "lane: a body that is no HTTP any more is waited for",
        "llm/aiohttp_lane.py",
        "    end.add_done_callback(fail)\n",
        "",
        ("tests/llm/test_lanes.py",),
    ),
    Bug(
        "parts: a line that is too long is no row if it is blank",
        "formats/lines.py",
        "return sum(len(line) <= max_bytes and not line",
        "return sum(not line",
        ("tests/pipeline/test_parts.py",),
    ),
    Bug(
        "engine: nobody takes a dead worker's place while the others are busy",
        "engines/pool.py",
        "sum(not other.held for other in self._workers) < len(self._left)",
        "len(self._workers) < len(self._left)",
        ("tests/engines/test_processes.py",),
    ),
    Bug(
        "answers: of a retry's copies alone, without the output",
        "pipeline/answers.py",
        "not entry.whole or not is_bare(since[0])",
        "not entry.whole or is_bare(since[0])",
        ("tests/cli/test_results.py",),
    ),
    Bug(
        "ordered: a journal that was retired while it was read just ends",
        "state/ordered.py",
        '    with Path(block.path).open("rb") as stream:\n        stream.seek',
        '    with suppress(FileNotFoundError), Path(block.path).open("rb") as stream:\n        stream.seek',
        ("tests/state/test_ordered.py",),
    ),
    Bug(
        "parts: of a line over several chunks only the last one counts",
        "formats/lines.py",
        "is_blank = is_blank and not chunk[end:].strip(_SPACE)",
        "is_blank = not chunk[end:].strip(_SPACE)",
        ("tests/pipeline/test_parts.py",),
    ),
    Bug(
        "engine: what died with a worker is given out beside other jobs",
        "engines/pool.py",
        "return self.deaths > 0",
        "return False",
        ("tests/engines/test_processes.py",),
    ),
    Bug(
        "ordered: a block ends where the next one's smallest row stands, that included",
        "state/ordered.py",
        "ready = bisect_left(held, later, key=_row)",
        "ready = bisect_left(held, later + 1, key=_row)",
        ("tests/state/test_ordered.py",),
    ),
    Bug(
        "ordered: blocks by row alone, the records of one row as they are found",
        "state/ordered.py",
        "held.sort(key=_row_and_age)",
        "held.sort(key=_row)",
        ("tests/state/test_ordered.py",),
    ),
    Bug(
        "ordered: what has been given is given again when sorting on disk begins",
        "state/ordered.py",
        "if record[0] >= later)",
        "if record)",
        ("tests/state/test_ordered.py",),
    ),
    Bug(
        "merge: a spilled run is lost",
        "state/merge.py",
        "            if len(runs) == FAN_IN:\n",
        "            if len(runs) == FAN_IN and runs.pop():\n",
        ("tests/state/test_merge.py",),
    ),
    Bug(
        "small files: checksum not looked at",
        "state/records.py",
        "whole = isinstance(record, dict) and check ==",
        "whole = isinstance(record, dict) or check ==",
        ("tests/state", "tests/pipeline/test_verify.py"),
    ),
    # who owns
    Bug(
        "lock: dead owners not succeeded",
        "state/lock.py",
        "if process.is_alive if here",
        "if True if here",
        ("tests/state/test_lock.py",),
    ),
    Bug(
        "lock: living owners ignored",
        "state/lock.py",
        "if process.is_alive if here",
        "if False if here",
        ("tests/state/test_lock.py",),
    ),
    Bug(
        "lock: process numbers alone",
        "state/lock.py",
        "start_time(self.pid) == self.start",
        "bool(start_time(self.pid))",
        ("tests/state/test_lock.py",),
    ),
    Bug(
        "lock: no fencing",
        "state/lock.py",
        "        if self._fs.is_file(_path(self._folder, self.epoch + 1)):\n",
        "        if self._fs.is_file(_path(self._folder, self.epoch - 1)) and False:\n",
        ("tests/state/test_lock.py", TESTS_OF_PUBLISH),
    ),
    Bug(
        "lock: not asked before a commit",
        "pipeline/publish.py",
        "                self._to.lock.check()\n",
        "",
        (TESTS_OF_PUBLISH, TESTS_OF_RUNNER, "tests/pipeline/test_endings.py"),
    ),
    # what is published
    Bug(
        "sink: not synced",
        "fs/local_sink.py",
        "            os.fsync(self._stream.fileno())\n",
        "",
        ("tests/fs/test_local_sink.py",),
    ),
    Bug(
        "sink: folder not synced",
        "fs/local_sink.py",
        "            self._discard()\n            sync_folder(str(Path(self._path).parent))\n",
        "            self._discard()\n",
        ("tests/fs/test_local_sink.py",),
    ),
    Bug(
        "sink: published when closed",
        "fs/local_sink.py",
        "            with suppress(OSError):  # why it is given up matters more\n                self._discard()\n",
        "            self.commit()\n",
        ("tests/fs",),
    ),
    Bug(
        "sink: written under the final name",
        "fs/local_sink.py",
        'temporary = str(target.with_name(f".{_shortened(target.name)}.{secrets.token_hex(8)}.tmp"))',
        "temporary = str(target)",
        ("tests/fs",),
    ),
    Bug(
        "sink: replaces what is there",
        "fs/local_sink.py",
        "publish_over if overwrite else publish_whole",
        "publish_over",
        ("tests/fs",),
    ),
    Bug(
        "sink: sweeps files being written",
        "fs/local_sink.py",
        "        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)\n        Path(path).unlink()\n",
        "        Path(path).unlink()\n",
        ("tests/fs/test_local_sink.py",),
    ),
    Bug(
        "publish: journal retired before the manifest",
        "pipeline/publish.py",
        "                self._to.output.manifest.put(entry, check=self._to.lock.check)\n        finally:",
        "                journal.retire()\n                self._to.output.manifest.put(entry)\n        finally:",
        (TESTS_OF_PUBLISH,),
    ),
    Bug(
        "publish: no manifest entry",
        "pipeline/publish.py",
        "                self._to.output.manifest.put(entry, check=self._to.lock.check)\n        finally:",
        "                pass\n        finally:",
        (TESTS_OF_PUBLISH,),
    ),
    Bug(
        "publish: its own file after a kill taken for a stranger's",
        "pipeline/publish.py",
        "            if checksum(self._to.output.fs, path) != entry.sha256:\n",
        "            if checksum(self._to.output.fs, path):\n",
        (KILLS, TESTS_OF_PUBLISH),
    ),
    Bug(
        "publish: a stranger's file taken for its own",
        "pipeline/publish.py",
        "            if checksum(self._to.output.fs, path) != entry.sha256:\n",
        "            if not checksum(self._to.output.fs, path):\n",
        (TESTS_OF_PUBLISH, TESTS_OF_RUNNER),
    ),
    Bug(
        "publish: missing answers not noticed",
        "pipeline/publish.py",
        "    if len(some) < count or some[0][0] != start or some[-1][0] != start + count - 1:\n",
        "    if len(some) < 0:\n",
        (TESTS_OF_PUBLISH,),
    ),
    Bug(
        "publish: input may change meanwhile",
        "pipeline/publish.py",
        "                self._inputs.check(job, content=journal.content)\n",
        "",
        (TESTS_OF_PUBLISH,),
    ),
    Bug(
        "publish: journal not flushed first",
        "pipeline/runner.py",
        "        await self._journal.secure()\n        large =",
        "        large =",
        (TESTS_OF_RUNNER,),
    ),
    Bug(
        "publish: bytes not hashed",
        "pipeline/publish.py",
        "        self.digest.update(data)\n",
        "",
        ("tests/pipeline/test_verify.py",),
    ),
    Bug(
        "results: a failed row gets a score",
        "pipeline/columns.py",
        "None if outcome.values is None else outcome.values.get(name)",
        "(outcome.values or {}).get(name, 0)",
        ("tests/pipeline",),
    ),
    Bug(
        "writer: a row too few is not noticed",
        "formats/writers.py",
        "    if len(rows) != len(results):\n",
        "    if len(rows) < 0:\n",
        ("tests/formats/test_writers.py",),
    ),
    Bug(
        "jsonl: lines that are not known to be good are read quickly",
        "formats/jsonl.py",
        "        if not self._is_good or line.text is None:\n",
        "        if line.text is None:\n",
        ("tests/formats/test_jsonl.py",),
    ),
    # rows and windows
    Bug(
        "window: permit leaked when a row is cut off",
        "pipeline/window.py",
        "        except FatalError as error:\n"
        "            self._fail(error)\n"
        "        finally:\n"
        "            permit.release()\n"
        "            self._room.release()\n",
        "        except FatalError as error:\n"
        "            self._fail(error)\n"
        "        else:\n"
        "            permit.release()\n"
        "            self._room.release()\n",
        ("tests/pipeline",),
    ),
    Bug(
        "permits: leaked by a cancelled waiter",
        "permits.py",
        "            if turn.done() and not turn.cancelled():\n                self._release()\n            elif",
        "            if",
        ("tests/llm/test_permits.py",),
    ),
    Bug(
        "permits: one more than the limit",
        "permits.py",
        "self.in_use < self.limit",
        "self.in_use <= self.limit",
        ("tests/llm/test_permits.py",),
    ),
    Bug(
        "permits: new rows before those that wait again",
        "permits.py",
        "queue = self._again or self._new",
        "queue = self._new or self._again",
        ("tests/llm/test_permits.py",),
    ),
    Bug(
        "runner: more files read at a time than allowed",
        "pipeline/runner.py",
        "        await file.complete()\n        with _storage(job, writing=True)",
        "        await file.complete()\n        self._reading.release()\n        with _storage(job, writing=True)",
        (TESTS_OF_RUNNER,),
    ),
    Bug(
        "runner: file permit held until its last answer",
        "pipeline/runner.py",
        "            self._readers.discard(task)\n            self._has_read()\n        return file\n",
        "            self._readers.discard(task)\n        await file.complete()\n"
        "        self._has_read()\n        return file\n",
        (TESTS_OF_RUNNER,),
    ),
    Bug(
        "rows: counted one too many",
        "pipeline/file.py",
        "            self.rows = self.source.row_count\n",
        "            self.rows = self.source.row_count + 1\n",
        (TESTS_OF_RUNNER,),
    ),
    Bug(
        "rows: recorded ones asked again",
        "pipeline/file.py",
        "recorded=recorded if part is None",
        "recorded=type(recorded)() if part is None",
        (TESTS_OF_RUNNER, KILLS),
    ),
    Bug(
        "rows: request id of its neighbour",
        "pipeline/file.py",
        "self._ids[index]",
        "self._ids[index // 2]",
        (TESTS_OF_RUNNER, "tests/cli/test_run_task.py"),
    ),
    # input
    Bug(
        "lines: split at every line border",
        "formats/lines.py",
        'chunk[start:end].split(b"\\n")',
        "chunk[start:end].splitlines()",
        ("tests/formats/test_lines.py",),
    ),
    Bug(
        "lines: a last one without its end is dropped",
        "formats/lines.py",
        "    if size:\n        yield b",
        "    if size < 0:\n        yield b",
        ("tests/formats/test_lines.py",),
    ),
    Bug(
        "lines: blank ones count as rows when passed over",
        "formats/lines.py",
        '_MAYBE_BLANK = re.compile(rb"\\n[ \\t\\r\\n]")',
        '_MAYBE_BLANK = re.compile(rb"\\n\\0")',
        ("tests/formats/test_jsonl.py",),
    ),
    Bug(
        "lines: a bad one swallowed",
        "formats/jsonl.py",
        '            return BadRow(f"line {line.number}: {error}")\n',
        "            return {}\n",
        ("tests/formats/test_jsonl.py",),
    ),
    Bug(
        "input: NaN accepted",
        "formats/strict_json.py",
        '    raise ValueError(f"{name} is no JSON number")\n',
        "    return float(name)  # type: ignore[return-value]\n",
        ("tests/formats",),
    ),
    Bug(
        "input: of two equal keys the last",
        "formats/strict_json.py",
        "        if json.dumps(first.setdefault(key, value)) != json.dumps(value):\n",
        "        if first.update({key: value}):\n",
        ("tests/formats/test_strict_json.py",),
    ),
    Bug(
        "parquet: a row group too many passed over",
        "formats/parquet.py",
        "        if recorded.covers(first, size):\n",
        "        if recorded.covers(first, 1):\n",
        ("tests/formats/test_parquet.py",),
    ),
    Bug(
        "input: edits behind size and time",
        "pipeline/input.py",
        "_BLOCKS = 16\n",
        "_BLOCKS = 0\n",
        ("tests/resume/test_refusals.py",),
    ),
    # what a start means
    Bug(
        "start: identity not compared",
        "state/start.py",
        "    _check_identity(newest, request)\n",
        "",
        ("tests/state/test_start.py",),
    ),
    Bug(
        "start: changed input not noticed",
        "state/start.py",
        "    _check_input(known, listing, repaired, request)\n",
        "",
        ("tests/state/test_start.py",),
    ),
    Bug(
        "start: any changed file is taken for repaired",
        "state/start.py",
        "if version is not None and (version.failed or version.fingerprint == file.fingerprint):",
        "if version is not None:",
        ("tests/task_manager/test_repaired.py",),
    ),
    Bug(
        "start: answers in another stat folder not missed",
        "pipeline/shard_run.py",
        "        await to_its_end(partial(elsewhere, stat=place.stat, other=place.other_stat))\n",
        "",
        ("tests/resume/test_refusals.py",),
    ),
    # asking
    Bug(
        "retry: one more than allowed",
        "llm/retry.py",
        "stop_after_attempt(budget + 1)",
        "stop_after_attempt(budget + 2)",
        ("tests/llm/test_retry.py",),
    ),
    Bug(
        "retry: twice as often for form",
        "llm/retry.py",
        "self.format_faults >= retries or",
        "self.format_faults >= 2 * retries or",
        ("tests/llm/test_retry.py",),
    ),
    Bug(
        "retry: Retry-After not heard",
        "llm/hints.py",
        "    yield _retry_after(headers, wall)\n",
        "",
        ("tests/llm/test_hints.py",),
    ),
    Bug(
        "retry: Retry-After undercut",
        "llm/endpoint.py",
        "self._cool_until = self._ramp_from = now + seconds",
        "self._cool_until = self._ramp_from = now + seconds / 2",
        ("tests/llm/test_retry.py", "tests/llm/test_pool.py"),
    ),
    Bug("retry: without jitter", "llm/retry.py", "self._rng.uniform(0.5, 1.0)", "1.0", ("tests/llm/test_retry.py",)),
    Bug(
        "deadline: never rings",
        "llm/deadlines.py",
        "self._timer = loop.call_at(deadline.due, self._ring)\n        return deadline",
        "self._timer = loop.call_later(1e6, self._ring)\n        return deadline",
        ("tests/llm/test_deadlines.py",),
    ),
    Bug(
        "deadline: rings for the first alone",
        "llm/deadlines.py",
        "                self._timer = loop.call_at(deadline.due, self._ring)\n                return\n",
        "                return\n",
        ("tests/llm/test_deadlines.py",),
    ),
    Bug(
        "deadline: the wait for a permit counts",
        "llm/client.py",
        "        endpoint, guess = await self._dispatcher.enter(",
        "        async with asyncio.timeout(self._settings.timeout):\n"
        "            endpoint, guess = await self._dispatcher.enter(",
        ("tests/llm/test_pacing.py",),
    ),
    Bug(
        "outage: charged to the rows",
        "llm/outage.py",
        "return self._proved > ended",
        "return True",
        ("tests/llm/test_outage.py",),
    ),
    Bug(
        "fatal: a wrong key is each row's own",
        "llm/fatal.py",
        "        if len(self._streak) >= STREAK or not (self._succeeded or fault.verdict.may_be_row):\n"
        "            self._end(fault)\n",
        "",
        ("tests/llm/test_fatal.py",),
    ),
    # answers
    Bug(
        "answers: NaN accepted",
        "llm/structured/coerce.py",
        "type(value) is float and isfinite(value)",
        "type(value) is float",
        ("tests/llm_structured/test_coerce.py",),
    ),
    Bug(
        "answers: a missing key is defaulted",
        "llm/structured/check.py",
        "missing = self._required - value.keys()",
        "missing = self._required - value.keys() - self._defaults.keys()",
        ("tests/llm_structured/test_check.py",),
    ),
    Bug(
        "answers: the first of two verdicts",
        "llm/structured/text.py",
        "    if not all(same(one.value, answers[0].value) for one in answers):\n",
        "    if not answers:\n",
        ("tests/llm_structured",),
    ),
    Bug(
        "answers: 4.5 is 4",
        "llm/structured/coerce.py",
        "value.is_integer() and abs(value)",
        "abs(value)",
        ("tests/llm_structured/test_coerce.py",),
    ),
    Bug(
        "answers: cut ones repaired",
        "llm/structured/check.py",
        '        if reply.finish_reason == "length" and not answer.ends_text:\n',
        '        if reply.finish_reason == "never" and not answer.ends_text:\n',
        ("tests/llm_structured/test_check.py",),
    ),
    Bug(
        "prompt: substituted text is looked at again",
        "scorers/prompt.py",
        "        system, prompt = self.render(texts)\n",
        "        system, prompt = self.render(texts)\n"
        "        for name, text in texts.items():\n"
        "            prompt = prompt.replace('{' + name + '}', text)\n",
        ("tests/scorers", "tests/config/test_template.py"),
    ),
    # what is copied
    Bug(
        "copies: another machine does not fetch them",
        "pipeline/shard_run.py",
        "            self.copies.restore()\n",
        "            self.copies.retire(())\n",
        (f"{TESTS_OF_STORES}::test_an_unfinished_run_goes_on_on_another_machine",),
    ),
    Bug(
        "copies: not sent at the close",
        "state/journal.py",
        "            await self._sync()\n            await self._send()\n",
        "            await self._sync()\n",
        ("tests/state/test_journal_copies.py",),
    ),
    Bug(
        "copies: sent after their file is published",
        "pipeline/runner.py",
        'it must come out the same."""\n        await self._journal.secure()\n',
        'it must come out the same."""\n        await self._journal.flush()\n',
        (f"{TESTS_OF_TOS}::test_a_machine_that_is_lost_at_any_step_costs_what_was_not_yet_copied",),
    ),
    Bug(
        "copies: removed before the manifest tells of their file",
        "pipeline/publish.py",
        "                lists.failed.commit()\n",
        "                lists.failed.commit()\n            journal.retire()\n",
        (f"{TESTS_OF_TOS}::test_a_machine_that_is_lost_at_any_step_costs_what_was_not_yet_copied",),
    ),
    Bug(
        "copies: one that failed is forgotten, and the next is sent",
        "state/copies.py",
        "        if self._failure is not None:\n            raise self._failure\n        try:\n",
        "        try:\n",
        ("tests/state/test_journal_copies.py",),
    ),
    Bug(
        "copies: a store that is away keeps the disk from being written",
        "state/journal.py",
        "            await _to_its_end(self._copier, self._copies.send)\n",
        "            try:\n"
        "                await _to_its_end(self._copier, self._copies.send)\n"
        "            except FatalError as error:\n"
        "                self.failure = error\n"
        "                raise\n",
        ("tests/state/test_journal_copies.py",),
    ),
    Bug(
        "copies: whoever comes second writes over the first",
        "state/copy_objects.py",
        "        return self._fs.put_if_absent(self.path(epoch, number), data)\n",
        "        self._fs.replace(self.path(epoch, number), data)\n        return True\n",
        (TESTS_OF_COPIES,),
    ),
    Bug(
        "copies: an owner that was replaced goes on storing",
        "state/copies.py",
        "                self._close(span, pool)\n",
        "",
        (TESTS_OF_COPIES,),
    ),
    Bug(
        "copies: an owner that was replaced takes back what it knows less of",
        "state/copies.py",
        "{epoch: max(first, self._base(epoch)) for epoch, first in told.items()}",
        "told",
        (TESTS_OF_COPIES,),
    ),
    Bug(
        "copies: removed while they are read",
        "state/copies.py",
        "                if self._base(span.epoch) <= number:\n",
        "                if number:\n",
        (TESTS_OF_COPIES,),
    ),
    Bug(
        "copies: removed though a part of them is of use",
        "state/copied.py",
        "        return list(takewhile(lambda number: not held[number], sorted(held)))\n",
        "        return list(takewhile(lambda number: len(held[number]) < 2, sorted(held)))\n",
        (TESTS_OF_COPIES,),
    ),
    Bug(
        "copies: pieces put together whatever is missing",
        "state/copied.py",
        "        if begin != self._made[name]:\n",
        "        if begin < 0:\n",
        (TESTS_OF_COPIES,),
    ),
    # what is told
    Bug(
        "secrets: not masked in errors",
        "llm/attempt.py",
        "return redact(text, (*self._secrets, *self._masked_too))[:MAX_MESSAGE]",
        "return text[:MAX_MESSAGE]",
        ("tests/llm",),
    ),
    Bug(
        "secrets: not masked in the log",
        "log/sink.py",
        "inert(redact(text[: 8 * chars], self._secrets))",
        "inert(text[: 8 * chars])",
        ("tests/log",),
    ),
    Bug(
        "log: line breaks written as they are",
        "log/sink.py",
        "capped(inert(redact(",
        "capped(str(redact(",
        ("tests/log",),
    ),
    Bug(
        "secrets: not masked in answers",
        "llm/attempt.py",
        "        reply = self._without_secrets(reply)\n",
        "",
        ("tests/e2e/test_canaries.py",),
    ),
    Bug(
        "secrets: not masked in the status",
        "cli/operating.py",
        "redact_values(status_json(status), self._secrets)",
        "status_json(status)",
        ("tests/e2e/test_canaries.py",),
    ),
    # a run that goes on
    Bug(
        "status: taken from who is at work",
        "observe/status_file.py",
        "            if other is None or not other.is_alive:\n",
        "            if True:\n",
        ("tests/observe/test_status.py",),
    ),
    Bug(
        "status: a number is a process",
        "observe/status_file.py",
        "        return self.process.is_alive if self.is_here else",
        "        return True if self.is_here else",
        ("tests/observe/test_status.py",),
    ),
    Bug(
        "status: attempts of rows that are tried again are not counted",
        "observe/progress.py",
        "attempts=self._attempts + sum(self._retrying.values()),",
        "attempts=self._attempts,",
        ("tests/observe/test_progress.py",),
    ),
    Bug(
        "control: whoever gets in may steer",
        "observe/control.py",
        "if peer.uid not in {os.getuid(), 0}:",
        "if peer.uid < 0:",
        ("tests/observe/test_control.py",),
    ),
    Bug(
        "control: a raised ceiling does not reach the endpoints",
        "llm/pool.py",
        "                endpoint.limit.set_ceiling(self._ceiling)\n",
        "                pass\n",
        ("tests/cli/test_operating.py",),
    ),
    Bug(
        "control: drain stops",
        "task_manager/scoring.py",
        "drain=runner.drain)",
        "drain=runner.stop)",
        ("tests/cli/test_operating.py",),
    ),
    Bug(
        "verify: checksum not looked at",
        "pipeline/verify.py",
        "if one.sha256 == found), None)",
        "if one.sha256), None)",
        ("tests/pipeline/test_verify.py",),
    ),
    # preprocessing
    Bug(
        "tokens: one more than asked for is kept",
        "tokens.py",
        "self._decoded(tokens[:limit])",
        "self._decoded(tokens[: limit + 1])",
        (TESTS_OF_TOKENS,),
    ),
    Bug(
        "tokens: a window that holds too few is taken for the whole text",
        "tokens.py",
        "while len(tokens) <= limit + _MARGIN and",
        "while False and",
        (TESTS_OF_TOKENS,),
    ),
    Bug(
        "tokens: a character of two tokens is counted by its first",
        "tokens.py",
        "while limit and offsets[limit - 1][1] > offsets[limit][0]:",
        "while False:",
        (TESTS_OF_TOKENS,),
    ),
    Bug(
        "preprocess: equal texts of one file get one id",
        "data_processing/base.py",
        'f"{self.file}\\0{row}\\0{text or',
        'f"{self.file}\\0{text or',
        ("tests/data_processing/test_github_raw_code.py",),
    ),
    Bug(
        "preprocess: rows are dropped without being counted",
        "data_processing/base.py",
        "        self.dropped.update(reason for reason in reasons if reason is not None)\n",
        "",
        ("tests/data_processing/test_universal.py",),
    ),
    Bug(
        "preprocess: texts among other values stay quoted",
        "data_processing/texts.py",
        "return [_read(text) for text in texts] if is_json else texts",
        "return texts",
        ("tests/data_processing/test_github_raw_code.py",),
    ),
    Bug(
        "preprocess: a file that changes while it is read is published",
        "data_processing/file.py",
        "        _check_unchanged(job, work.inputs)\n        sink.commit()",
        "        sink.commit()",
        ("tests/data_processing/test_file.py",),
    ),
    Bug(
        "preprocess: what process_item changes in place is lost",
        "data_processing/items.py",
        "process_item(_copied(item))",
        "process_item(item)",
        ("tests/data_processing/test_items.py",),
    ),
    Bug(
        "preprocess: a changed raw file is taken for done",
        "task_manager/preprocess_state.py",
        'if differs or redo == "all" or job.fingerprint != report.job.fingerprint:',
        'if differs or redo == "all":',
        (f"{TESTS_OF_PREPROCESS}::test_a_second_start_does_only_what_is_new_changed_or_gone",),
    ),
    Bug(
        "preprocess: files of other settings are mixed",
        "task_manager/preprocess_state.py",
        "        other.update(differs)\n",
        "",
        (f"{TESTS_OF_PREPROCESS}::test_other_settings_are_refused_until_all_is_made_anew",),
    ),
    Bug(
        "preprocess: a stranger's file is written over",
        "task_manager/preprocess_state.py",
        "if size is not None and not outputs.is_ours(job.output):",
        "if False:",
        (f"{TESTS_OF_PREPROCESS}::test_files_of_somebody_else_and_edited_ones_are_left_alone",),
    ),
    Bug(
        "preprocess: what else lies in the folder is scored",
        "task_manager/task_input.py",
        "listing = listing.only(self.preprocessed.outputs)",
        "pass",
        (f"{TESTS_OF_PREPROCESS}::test_what_comes_out_is_scored_and_only_that",),
    ),
    Bug(
        "engine: what a dead worker held is forgotten",
        "engines/pool.py",
        "self._left.extendleft(task for",
        "list(task for",
        ("tests/engines",),
    ),
    Bug(
        "engine: workers outlive their owner",
        "engines/worker.py",
        "        except (EOFError, OSError):\n            os._exit(OWNER_GONE)\n",
        "        except (EOFError, OSError):\n            pass\n",
        ("tests/engines",),
    ),
    # one schema for all outputs, and the columns they keep
    Bug(
        "unify: 64-bit integers become doubles",
        "formats/promote.py",
        "if whole.bit_width <= 32 else None",
        "if whole.bit_width <= 64 else None",
        ("tests/formats/test_promote.py",),
    ),
    Bug(
        "unify: JSON Lines settle file by file",
        "formats/unify.py",
        "self._shapes.setdefault(name, Shape()).merge(types[name])",
        "self._shapes.setdefault(name, types[name])",
        ("tests/formats/test_unify.py",),
    ),
    Bug(
        "unify: settled anew by each start",
        "pipeline/unify.py",
        "        if known is None:\n            return self._settle(files)\n",
        "        if known is None or not repaired:\n            return self._settle(files)\n",
        (TESTS_OF_UNIFY,),
    ),
    Bug(
        "unify: a repaired file is taken before it is seen to fit",
        "task_manager/scoring.py",
        "if self._schema is not None and run.repaired:",
        "if self._schema is not None and not run.repaired:",
        (TESTS_OF_UNIFY,),
    ),
    Bug(
        "unify: verify does not compare the outputs",
        "pipeline/verify.py",
        "if findings.drift and any(",
        "if not findings.drift and any(",
        (TESTS_OF_UNIFY,),
    ),
    Bug(
        "columns: one that a file lacks is found out when its rows are paid for",
        "pipeline/input.py",
        "if self._wanted is not None and",
        "if self._wanted is None and",
        ("tests/task_manager/test_output_columns.py",),
    ),
    Bug(
        "parquet: a row group of large rows among small ones",
        "formats/writers.py",
        "_size(batch) > ROW_GROUP_BYTES",
        "_size(batch) > 100 * ROW_GROUP_BYTES",
        ("tests/formats/test_writers.py",),
    ),
    # work shared by processes
    Bug(
        "workers: what is in flight is lent to others",
        "task_manager/leases.py",
        "        share.bound = max(share.bound, requests)\n",
        "        share.bound = requests\n",
        (TESTS_OF_LEASES,),
    ),
    Bug(
        "workers: a report from before a lease is believed",
        "task_manager/leases.py",
        "        if number == share.lease.number:",
        "        if number <= share.lease.number:",
        (TESTS_OF_LEASES,),
    ),
    Bug(
        "workers: what a dead one had in flight is lent at once",
        "task_manager/leases.py",
        "            self._lost[worker] = share.bound\n",
        "            self._lost[worker] = 0\n",
        (TESTS_OF_LEASES,),
    ),
    Bug(
        "workers: a part begins a row late",
        "pipeline/file.py",
        "        return row < self.start or row in self.others\n",
        "        return row <= self.start or row in self.others\n",
        (TESTS_OF_PARTS,),
    ),
    Bug(
        "workers: blank lines before a part are rows",
        "formats/lines.py",
        'rows + chunk.count(b"\\n", 0, end) - empty, blank + empty',
        'rows + chunk.count(b"\\n", 0, end), blank',
        (TESTS_OF_PARTS,),
    ),
    Bug(
        "workers: a file is published with a part of it missing",
        "pipeline/parts.py",
        "        if cut.open:\n            return None\n",
        "",
        (TESTS_OF_PARTS,),
    ),
    Bug(
        "workers: types of some parts stand for those of all",
        "formats/jsonl.py",
        "        if stops[-1] == rows and ",
        "        if stops[-1] and ",
        (TESTS_OF_PARTS,),
    ),
    Bug(
        "workers: what a dead one recorded is asked again",
        "state/journal.py",
        "            or (segment.writer.part == part and segment.writer.worker != self._worker.number)\n",
        "",
        (TESTS_OF_WORKER_JOURNALS,),
    ),
    Bug(
        "workers: what a dead one recorded is not synced",
        "state/journal.py",
        "            self._inherited += [AppendFile(segment.path) for segment in found]\n",
        "            pass\n",
        (TESTS_OF_WORKER_JOURNALS,),
    ),
    Bug(
        "workers: two write one journal",
        "state/segments.py",
        '        return f"{self.worker:04d}-{self.part:05d}"\n',
        '        return f"{self.worker:04d}-{0:05d}"\n',
        (TESTS_OF_WORKER_JOURNALS,),
    ),
    Bug(
        "workers: one that ended after a stop is replaced",
        "engines/pool.py",
        "        if self._is_closed:\n            return iter(())\n",
        "",
        (TESTS_OF_CREW,),
    ),
    Bug(
        "workers: after an error the others' results are thrown away",
        "engines/processes.py",
        "                    yield late\n",
        "                    pass\n",
        (TESTS_OF_CREW,),
    ),
    Bug(
        "workers: each watches for hopeless rows alone",
        "task_manager/crew.py",
        "                    self._watch.end(outcome)\n",
        "                    pass\n",
        (TESTS_OF_WORKERS,),
    ),
    Bug(
        "workers: a pause does not reach them",
        "task_manager/crew.py",
        "        self._tell_all(Pause(reason))\n",
        "",
        (TESTS_OF_WORKERS,),
    ),
    Bug(
        "workers: a copy of what one wrote is not sent",
        "task_manager/copying.py",
        "                self._copies.add(name, data)\n",
        "                pass\n",
        (TESTS_OF_COPYING,),
    ),
)
