"""The task file: one task is one YAML file."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from modelcall.config.fields import (
    AUTO,
    Block,
    Duration,
    NotNegative,
    OrDefaults,
    OrMinusOne,
    Positive,
    PositiveDuration,
    Share,
    Text,
    Texts,
    Truth,
    Workers,
    refuse,
)
from modelcall.config.preprocess import PreprocessConfig

RetryKind = Literal["network", "rate_limit", "format"]


def _one_line(name: str) -> str:
    if not name.isprintable() or not name.strip():
        refuse("must be one line of visible text")
    return name


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


class DataConfig(Block):
    """What is read, and where results go."""

    input_folder: Text = Field(
        description="File, folder or glob that is scored: a local path, tos://bucket/key, or any URL that fsspec knows."
    )
    output_folder: Text = Field(
        description="Folder for the results; {timestamp}, {task_name} and {run_index} are filled in."
    )
    stat_folder: Text | None = Field(
        default=None, description="Folder for progress. Default: .modelcall/ in the output folder."
    )
    input_key: Text = Field(default="text", description="Column that holds the document.")
    prompt_format_key: Text | None = Field(
        default=None,
        description="Placeholder of the prompt that takes the document; it beats a column of the same name. "
        "Default: text if the prompt has it, else the prompt's only placeholder.",
    )
    root: Text | None = Field(default=None, description="Folder that relative data paths hang from.")
    fs: Text | None = Field(
        default=None, description="Storage of relative data paths: local, tos, or package.module:Class."
    )
    output_format: Literal["parquet", "jsonl", "same"] = Field(
        default="parquet", description="Format of the output files; same: that of each input file."
    )
    output_prefix: str = Field(default="", description="Put before the name of every added column.")
    output_columns: Texts | None = Field(
        default=None, description="Input columns to keep in the output, in this order. Default: all."
    )
    unify_schema: Truth = Field(default=False, description="Give all output files one schema, settled before row one.")


class ConcurrencyConfig(Block):
    """How much happens at once."""

    max_concurrent_files: Positive = Field(default=2, description="Files being read at a time.")
    max_concurrent_requests: Positive = Field(
        default=10, description="Requests in flight of one invocation with all its workers."
    )
    chunk_size: Positive = Field(default=100, description="Rows read and scheduled at a time; never a barrier.")
    parquet_save_interval: OrMinusOne = Field(
        default=-1, description="Rows between checkpoints of the ledger; -1: automatic. Answers are journaled anyway."
    )
    num_workers: Workers = Field(
        default=1, description="Processes of one invocation that score; auto: one for each CPU it may use."
    )

    @property
    def workers(self) -> int:
        """How many processes, on this machine."""
        if self.num_workers != AUTO:
            return int(self.num_workers)
        return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


class DistributedConfig(Block):
    """How a task is shared among machines. Ignored whole while enabled is false."""

    enabled: Truth = Field(default=False, description="Whether this block counts.")
    world_size: Positive = Field(default=1, description="Number of shards.")
    job_index: NotNegative | None = Field(
        default=None, description="Which shard this is, from 0. Default: from the launcher's variables."
    )
    num_runs: Positive = Field(
        default=1, description="How often the data are scored, into {run_index} 1, 2, … of data.output_folder."
    )
    engine: Text = Field(default="local", description="Where jobs run: local.")
    shard_by: Text = Field(default="bytes", description="What shards are balanced by: bytes.")


class DebugConfig(Block):
    """Limits for a try-out; they mark the result partial. Ignored whole while enabled is false."""

    enabled: Truth = Field(default=False, description="Whether this block counts.")
    max_files: Positive | None = Field(default=None, description="Score only the first files.")
    max_items_per_file: Positive | None = Field(default=None, description="Score only the first rows of each file.")


class RetryConfig(Block):
    """Extra attempts of one request. Each kind of failure has its own budget."""

    enable_format_validation_retry: Truth = Field(
        default=True, description="Ask again if an answer breaks the requested form; false: one attempt."
    )
    max_retries: NotNegative = Field(default=3, description="Extra attempts for each kind of failure.")
    network: NotNegative | None = Field(default=None, description="Extra attempts after network failures.")
    rate_limit: NotNegative | None = Field(default=None, description="Extra attempts after rate limits.")
    format: NotNegative | None = Field(default=None, description="Extra attempts after answers of a wrong form.")

    def budget(self, kind: RetryKind) -> int:
        """Extra attempts for one kind of failure."""
        if kind == "format" and not self.enable_format_validation_retry:
            return 0
        own: int | None = getattr(self, kind)
        return self.max_retries if own is None else own


class OptionsConfig(Block):
    """How a run behaves."""

    resume: Truth = Field(default=True, description="Go on after a finished run; false: start over then.")
    delete_existing: Truth = Field(
        default=False, description="Remove this task's finished output at the start of a new run."
    )
    keep_raw: Truth = Field(default=True, description="Keep the model's text in the column api_return.")
    max_failed_ratio: Share = Field(
        default=0.0, description="Share of failed rows (0 to 1) up to which a finished run exits 0."
    )
    on_error: Literal["keep", "drop", "stop"] = Field(
        default="keep",
        description="What becomes of a row that failed: keep it, with the reason; drop it from the output, listed in "
        ".modelcall/failed/; or stop the run, which may go on later.",
    )
    bad_rows: Literal["keep", "stop"] = Field(
        default="keep",
        description="What happens at an input row that cannot be scored (no JSON, no text): keep it as a failed one, "
        "which on_error: drop drops, or stop.",
    )
    grace_seconds: Duration = Field(
        default=20.0, description="How long a stopped run waits for requests in flight (seconds)."
    )


class EnvironmentConfig(Block):
    """Where the run stands."""

    api_provider: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")] = Field(
        default="local", description="P loads env/add_P*.env if there is one."
    )
    timeout: PositiveDuration = Field(default=300.0, description="Total time of one attempt (seconds).")
    outage_grace: Duration = Field(
        default=1800.0, description="How long an endpoint may be down before the run stops, resumable (seconds)."
    )


class LoggingConfig(Block):
    """What is logged, and where."""

    level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)] = Field(
        default="INFO", description="Least severity that is logged."
    )
    batch_size: Positive = Field(default=100, description="Rows of one batch in the log.")
    progress_report_interval: Positive = Field(default=10, description="Batches between two progress lines.")
    language: Literal["zh", "en"] | None = Field(
        default=None, description="Language of the log. Default: that of the locale."
    )
    dir: Text = Field(default="logs", description="Folder of the log files, relative to the current folder.")


class ScorerBlock(Block):
    """What scores the rows, if not the model alone."""

    name: Text = Field(description="llm, quality, or package.module:Class.")
    options: OrDefaults[dict[str, Any]] = Field(default={}, description="The scorer's own options.")


class ModelBlock(Block):
    """The model: a file, the keys of a model file inline, or both; inline keys win."""

    config_path: Text | None = Field(default=None, description="The model file.")


class PromptBlock(Block):
    """The prompt: a file, the keys of a prompt file inline, or both; inline keys win."""

    config_path: Text | None = Field(default=None, description="The prompt file.")


class TaskConfig(Block):
    """A task file."""

    task_name: Annotated[Text, AfterValidator(_one_line)] = Field(
        description="Name of the task, in logs and in {task_name}."
    )
    description: str = Field(default="", description="What the task is for; shown in lists.")
    data: DataConfig = Field(description="What is read, and where results go.")
    preprocess: OrDefaults[PreprocessConfig] = Field(
        default=PreprocessConfig(), description="Optional step before scoring."
    )
    scorer: ScorerBlock | None = Field(default=None, description="What scores the rows. Default: the model.")
    model: ModelBlock | None = Field(default=None, description="The model: config_path, or the keys of a model file.")
    prompt: PromptBlock | None = Field(
        default=None, description="The prompt: config_path, or the keys of a prompt file."
    )
    concurrency: OrDefaults[ConcurrencyConfig] = Field(
        default=ConcurrencyConfig(), description="How much happens at once."
    )
    distributed: OrDefaults[DistributedConfig] = Field(
        default=DistributedConfig(), description="How the task is shared among machines."
    )
    debug: OrDefaults[DebugConfig] = Field(default=DebugConfig(), description="Limits for a try-out.")
    retry: OrDefaults[RetryConfig] = Field(default=RetryConfig(), description="Extra attempts.")
    options: OrDefaults[OptionsConfig] = Field(default=OptionsConfig(), description="How a run behaves.")
    environment: OrDefaults[EnvironmentConfig] = Field(
        default=EnvironmentConfig(), description="Provider variables and timeouts."
    )
    logging: OrDefaults[LoggingConfig] = Field(default=LoggingConfig(), description="What is logged, and where.")
