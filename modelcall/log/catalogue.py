"""Every message of the log, in both languages.

A message's placeholders are its facts: the same in both texts. Facts are values only: they are put in once and never
scanned again.
"""

from __future__ import annotations

import logging
import string
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Language: TypeAlias = Literal["zh", "en"]

_DEBUG, _INFO, _WARNING, _ERROR = logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR


@dataclass(frozen=True, slots=True)
class Text:
    """One message in both languages, and how loud it is."""

    level: int
    zh: str
    en: str
    facts: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "facts", placeholders(self.zh))


def placeholders(template: str) -> frozenset[str]:
    """The names that a template takes."""
    return frozenset(name for _, name, _, _ in string.Formatter().parse(template) if name)


def _same(level: int, text: str) -> Text:
    """One text for both languages: users search their logs for these words."""
    return Text(level, text, text)


class Message(Enum):
    """What can be said, by topic."""

    # the task
    TASK_STARTED = Text(_INFO, "🚀 任务启动: {task}", "🚀 Task started: {task}")
    TASK_DONE = Text(
        _INFO,
        "🎉 任务完成: {task}, 成功 {scored}, 失败 {failed}, 用时 {seconds:.0f} 秒",
        "🎉 Task finished: {task}, {scored} scored, {failed} failed, in {seconds:.0f} s",
    )
    TASK_STOPPED = Text(
        _ERROR,
        "🛑 任务停止: {task}: {reason}",
        "🛑 Task stopped: {task}: {reason}",
    )
    TASK_INTERRUPTED = Text(
        _WARNING,
        "⏸️ 任务被中断 ({signal}), 正在保存进度: {task}",
        "⏸️ Task interrupted ({signal}), saving progress: {task}",
    )
    CONTROL_PAUSE = Text(_WARNING, "⏸️ {by} 暂停了任务", "⏸️ Paused by {by}")
    CONTROL_RESUME = Text(_WARNING, "▶️ {by} 恢复了任务", "▶️ Resumed by {by}")
    CONTROL_SET = Text(_WARNING, "🎛️ {by} 将 {key} 由 {old} 改为 {new}", "🎛️ {by} set {key} from {old} to {new}")
    CONTROL_DRAIN = Text(
        _WARNING,
        "🚰 {by} 要求收尾: 不再开始新的行, 等待进行中的请求结束",
        "🚰 Drained by {by}: no more rows are begun, those in flight end",
    )
    TASK_RESUMED = Text(
        _INFO,
        "♻️ 继续上次运行: 已完成 {files} 个文件, 已记录 {rows} 行",
        "♻️ Resuming: {files} files done, {rows} rows recorded",
    )
    TASK_ALREADY_DONE = Text(_INFO, "✔️ 任务先前已完成: {task}", "✔️ Task was done before: {task}")
    RETRY_FAILED = Text(
        _INFO,
        "🔁 重新提问: 已完成的 {files} 个文件中有 {rows} 行失败",
        "🔁 Asking again: {rows} failed rows of {files} finished files",
    )
    RETRY_UNFINISHED = Text(
        _INFO,
        "🔁 {files} 个未完成的文件: 失败的行也重新提问",
        "🔁 {files} unfinished files: their failed rows are asked again, too",
    )
    NO_RETRY = Text(
        _INFO,
        "✔️ 已完成的文件中没有可以重新提问的失败行",
        "✔️ No failed row of a finished file can be asked again",
    )
    SHARD = Text(_INFO, "🌐 分布式配置: Job {index}/{world_size}", "🌐 Distributed: job {index}/{world_size}")
    SHARD_SOURCE = Text(
        _INFO,
        "🌐 job_index 与 world_size 来自 {source}",
        "🌐 job_index and world_size come from {source}",
    )
    STRUCTURED_MODE = Text(_INFO, "🧩 结构化输出方式: {mode}", "🧩 Structured output: {mode}")
    HINT = Text(_INFO, "👉 {hint}", "👉 {hint}")
    NOTE = Text(_INFO, "{text}", "{text}")
    WARNING = Text(_WARNING, "⚠️ {text}", "⚠️ {text}")
    ERROR = Text(_ERROR, "❌ {text}", "❌ {text}")
    CRASH = Text(_ERROR, "💥 内部错误: {error}", "💥 Internal error: {error}")

    # the schema of the output
    SCHEMA_READ = Text(
        _INFO,
        "🧬 统一 schema: 读取 {files} 个文件的列类型",
        "🧬 One schema for all: reading the column types of {files} files",
    )
    SCHEMA_SETTLED = Text(
        _INFO,
        "🧬 {files} 个文件统一为一个 schema: {columns} 列, 其中 {unlike} 列在文件之间不一致",
        "🧬 One schema for {files} files: {columns} columns, {unlike} of them differ between files",
    )
    DRIFT = Text(
        _WARNING,
        "🧬 文件的 schema 不一致 ({what}), 有 {unlike} 列; data.unify_schema: true 可统一: {columns}",
        "🧬 The schemas of {what} differ in {unlike} columns; data.unify_schema: true would make them one: {columns}",
    )

    # files
    FILES_FOUND = Text(_INFO, "📁 找到 {count} 个文件需要处理", "📁 Found {count} files to process")
    FILES_LATER = Text(
        _INFO,
        "📁 列表建立之后出现了 {count} 个文件, 留待下次运行",
        "📁 {count} files came after the listing; they wait for the next run",
    )
    FILE_STARTED = Text(_INFO, "🟢 开始处理文件: {file}", "🟢 Processing file: {file}")
    FILE_RESUMED = Text(
        _INFO,
        "   已有 {recorded} 行结果, 从断点继续",
        "   {recorded} rows have their results already; the rest follows",
    )
    FILE_DONE = Text(_INFO, "✅ 文件处理完成: {file}", "✅ File finished: {file}")
    FILE_RATE = Text(
        _INFO,
        "   总体成功率: {scored}/{total} ({rate:.1%})",
        "   Success rate: {scored}/{total} ({rate:.1%})",
    )
    WORKERS = Text(
        _INFO,
        "⚙️ {processes} 个进程共同工作: {jobs} 个任务, {parts} 个文件分块处理",
        "⚙️ {processes} processes share the work: {jobs} jobs, {parts} file(s) in parts",
    )
    READ_AHEAD = Text(
        _DEBUG,
        "📖 发布 {file} 时, 由空闲的进程读取输入",
        "📖 While {file} is published, a process that is free reads its input",
    )
    PREPROCESS_STARTED = Text(
        _INFO,
        "🧹 预处理: {raw} → {output}, {files} 个文件, {processes} 个进程",
        "🧹 Preprocessing: {raw} → {output}, {files} files, {processes} processes",
    )
    PREPROCESS_RESUMED = Text(
        _INFO,
        "♻️ 已有 {done} 个文件的预处理结果, 无需重做; {changed} 个文件的原始数据有变化, 重新处理",
        "♻️ {done} files are preprocessed already; {changed} are done again, since their raw data changed",
    )
    PREPROCESS_WAITS = Text(
        _INFO,
        "⏳ 等待另一进程完成预处理: {who}",
        "⏳ Waiting for the process that preprocesses: {who}",
    )
    PREPROCESS_TEXT = Text(
        _INFO,
        "📄 文本取自列 {column} (首个文件: {file})",
        "📄 Texts are in the column {column} (first file: {file})",
    )
    PREPROCESS_FILE = Text(
        _INFO,
        "✅ 预处理完成: {file}: 读入 {rows_in} 行, 写出 {rows_out} 行, {tokens} 个 token, {seconds:.1f} 秒",
        "✅ Preprocessed: {file}: {rows_in} rows in, {rows_out} out, {tokens} tokens, in {seconds:.1f} s",
    )
    PREPROCESS_DROPPED = Text(_INFO, "   丢弃 {count} 行: {reason}", "   {count} rows dropped: {reason}")
    PREPROCESS_DONE = Text(
        _INFO,
        "🧹 预处理结束: {files} 个文件, 失败 {failed}, 读入 {rows_in} 行, 写出 {rows_out} 行, 用时 {seconds:.0f} 秒",
        "🧹 Preprocessed: {files} files, {failed} failed, {rows_in} rows in, {rows_out} out, in {seconds:.0f} s",
    )

    FILE_FAILED = Text(_ERROR, "❌ 文件处理失败: {file}: {reason}", "❌ File failed: {file}: {reason}")

    # rows
    BATCH_DONE = Text(
        _INFO,
        "📊 批量处理完成: {rows} 项, 成功 {scored}, 失败 {failed}, 成功率 {rate:.1%}",
        "📊 Batch done: {rows} rows, {scored} scored, {failed} failed, success rate {rate:.1%}",
    )
    PROGRESS = Text(_INFO, "进度: 批次 {batch}, 成功率 {rate:.1%}", "Progress: batch {batch}, success rate {rate:.1%}")

    NO_PROGRESS = Text(_INFO, "进度: 尚无完成的行", "Progress: no row done yet")

    # answers of the wrong form
    FORMAT_FAULT = _same(_WARNING, "❌ JSON validation failed: {message}")
    FORMAT_RAW = _same(_WARNING, "📄 Raw response (first 200 chars): {raw}")
    FORMAT_RETRY_KEYS = _same(_WARNING, "🔑 Missing required keys - retrying with emphasis on required fields...")
    FORMAT_RETRY = _same(_WARNING, "🔄 Format validation error, retrying: {message}")
    FORMAT_VALID = _same(_DEBUG, "✅ Valid JSON response received with keys: {keys}")

    # the endpoint
    RETRY = Text(_WARNING, "🔁 请求失败, 将重试: {message}", "🔁 Request failed, trying again: {message}")
    COOLDOWN = Text(
        _WARNING,
        "🧊 {endpoint} 要求等待 {seconds:.2f} 秒 ({cause})",
        "🧊 {endpoint} asks to wait {seconds:.2f} s ({cause})",
    )
    LIMIT = Text(
        _INFO,
        "🎚️ 并发上限: {limit}/{ceiling} ({reason})",
        "🎚️ Requests in flight: at most {limit} of {ceiling} ({reason})",
    )
    OUTAGE = Text(
        _WARNING,
        "🔌 服务中断, 暂停请求并等待恢复, 不计入任何一行: {message}",
        "🔌 Outage; asking pauses, and no row is charged: {message}",
    )
    RECOVERED = Text(
        _INFO,
        "🔌 服务恢复, 中断了 {seconds:.0f} 秒: {message}",
        "🔌 Back after {seconds:.0f} s: {message}",
    )
    EJECTED = Text(_WARNING, "📤 暂停使用 {endpoint} ({cause})", "📤 {endpoint} is left out for now ({cause})")
    REJOINED = Text(_INFO, "📥 重新使用 {endpoint}", "📥 {endpoint} is back in use")
    HOSTS = Text(_INFO, "🗺️ 服务地址更新: {endpoints}", "🗺️ Endpoints changed: {endpoints}")
    CLIENT_EVENT = Text(_DEBUG, "客户端事件 {name}: {facts}", "Client event {name}: {facts}")

    # the log itself
    REPEATED = Text(
        _WARNING,
        "… 同类警告另有 {count} 条: {sample}",
        "… and {count} more of this kind: {sample}",
    )
    OBSERVER_FAILED = Text(
        _WARNING,
        "⚠️ {observer} 出错, 运行不受影响, 不再重复报告: {error}",
        "⚠️ {observer} failed; the run goes on, and this is not said again: {error}",
    )


@dataclass(frozen=True, slots=True)
class Said:
    """A message with its facts, before it has a language. Prints in English."""

    message: Message
    facts: Mapping[str, object]

    def __str__(self) -> str:
        return self.text("en")

    def text(self, language: Language) -> str:
        """Render in a language."""
        template = self.message.value.zh if language == "zh" else self.message.value.en
        facts = {name: fact.text(language) if isinstance(fact, Said) else fact for name, fact in self.facts.items()}
        return template.format_map(facts)

    @property
    def cause(self) -> str:
        """What warnings are counted by: the message, and the fact ``cause`` if it has one."""
        return f"{self.message.name}:{self.facts.get('cause', '')}"
