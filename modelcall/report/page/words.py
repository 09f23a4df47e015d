"""What the report says, in both languages."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from modelcall.types import ErrorType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelcall.log import Language


@dataclass(frozen=True, slots=True)
class Both:
    """One text in both languages."""

    en: str
    zh: str


class Phrase(Enum):
    """Everything that stands on the page, by place."""

    # the head
    REPORT = Both("Run report", "运行报告")
    RUN = Both("run of {timestamp}", "运行 {timestamp}")
    MODEL = Both("Model", "模型")
    SCORER = Both("Scorer", "打分器")
    INPUT = Both("Input", "输入")
    OUTPUT = Both("Output", "输出")
    FINISHED = Both("complete", "完整")
    UNFINISHED = Both("incomplete", "不完整")
    AS_OF = Both("As of {time}", "截至 {time}")

    # key numbers
    ROWS = Both("Rows", "行数")
    SCORED = Both("Scored", "成功")
    SCORED_ROWS = Both("{count} scored", "{count} 行成功")
    FAILED = Both("Failed", "失败")
    SUCCESS_RATE = Both("Success rate", "成功率")
    MEAN_SCORE = Both("Mean {name}", "{name} 均值")
    TOKENS = Both("Tokens", "Token 数")
    COST = Both("Cost", "费用")
    DURATION = Both("Time at work", "工作时间")
    RATE = Both("Rows per second", "每秒行数")
    FILES = Both("Files", "文件")
    OF_ALL = Both("{share} of all", "占 {share}")
    FILES_OF = Both("{published} of {expected} published", "已发布 {published}/{expected}")
    MEDIAN = Both("median {median}, {low} to {high}", "中位数 {median}，{low} 至 {high}")
    IN_AND_OUT = Both("{prompt} in, {completion} out", "输入 {prompt}，输出 {completion}")
    PER_THOUSAND = Both("{cost} per 1,000 rows", "每千行 {cost}")

    # notices
    NOTE_UNFINISHED = Both(
        "{unpublished} of {expected} files are not published: the run goes on, was stopped, or could not use them."
        " Their rows are not in this report. The first: {names}.",
        "{expected} 个文件中有 {unpublished} 个没有发布：运行仍在进行、已停下，或无法处理它们。"
        "其中的行不在本报告内。例如：{names}。",
    )
    NOTE_PARTIAL = Both(
        "{partial} files are partial: debug limits were set.", "{partial} 个文件不完整：运行时设置了调试上限。"
    )
    NOTE_NO_LOGS = Both(
        "No batch details of this run are at hand, so nothing is shown over time. They are in the log folder of the"
        " machine that ran it; name it with --log_dir.",
        "手边没有本次运行的批次明细，因此没有随时间变化的图。明细在执行机器的日志目录中，可用 --log_dir 指定。",
    )
    NOTE_SOME_LOGS = Both(
        "The batch details at hand tell of {told} of {rows} rows: what is shown over time is of those.",
        "手边的批次明细只包含 {rows} 行中的 {told} 行，随时间变化的图只反映这些行。",
    )
    NOTE_DAMAGED_LINES = Both(
        "{count} lines of the batch details could not be understood and are left out.",
        "批次明细中有 {count} 行无法识别，已略过。",
    )
    NOTE_PROBLEM = Both(
        "Could not be read to its end, so that numbers are too low: {text}", "未能读完，数字因此偏低：{text}"
    )
    NOTE_DROPPED = Both(
        "{dropped} failed rows are not in the output (options.on_error: drop); they are listed beside it and counted"
        " here.",
        "{dropped} 行失败的行不在输出中（options.on_error: drop），它们列在输出旁的清单里，这里计算在内。",
    )
    NOTE_UNDRAWN = Both(
        "Columns without a chart, for they hold neither numbers nor short texts: {names}.",
        "以下列既非数字也非短文本，没有图：{names}。",
    )
    NOTE_ODD = Both(
        "{count} values of {name} are NaN or infinite and are in no chart.",
        "{name} 有 {count} 个值是 NaN 或无穷，未画入图中。",
    )
    NOTE_STOPPED = Both(
        "The last start ended before the end (exit code {code}): {reason}",
        "上一次启动未到终点（退出码 {code}）：{reason}",
    )

    # sections
    SCORES = Both("Scores", "分数")
    ALIKE = Both("{name} is {value} in all of {rows} rows.", "{rows} 行的 {name} 都是 {value}。")
    BY = Both("By {name}", "按 {name}")
    BY_TEXT = Both(
        "Share of each score among the scored rows of a group; the same axes everywhere.",
        "每组成功行中各分数的占比，所有小图坐标相同。",
    )
    GROUP = Both("Group", "组")
    FAILURE_RATE = Both("Failed share", "失败率")
    MEAN = Both("Mean", "均值")
    MEDIAN_NAME = Both("Median", "中位数")
    MORE_GROUPS = Both("{groups} more groups with {rows} rows are not shown.", "另有 {groups} 组共 {rows} 行未显示。")
    MANY_GROUPS = Both(
        "{rows} rows have values beyond the first 300 different ones.", "{rows} 行的取值在前 300 个不同值之外。"
    )
    TAGS = Both("Tags", "标签")
    MORE_TEXTS = Both(
        "{count} different; the {shown} most frequent are shown.", "共 {count} 种，显示最常见的 {shown} 种。"
    )
    OTHER_TEXTS = Both(
        "{count} more came after the first 5,000 different ones and are not told apart.",
        "另有 {count} 个在前 5,000 种之外，未加区分。",
    )
    FREE_TEXT = Both("{name}: free text, {count} different values.", "{name}：自由文本，{count} 种不同的值。")
    FAILURES = Both("Failures", "失败")
    NO_FAILURES = Both("Every row is scored.", "所有行都已成功打分。")
    KIND = Both("Kind", "类型")
    FIRST_REASON = Both("First reason", "首个原因")
    WHAT_TO_DO = Both("What to do", "处理办法")
    EXAMPLES = Both("Examples of {kind}", "{kind} 的例子")
    FREQUENT_REASONS = Both("Most frequent reasons", "最常见的原因")
    ATTEMPTS = Both("{count} attempts", "尝试 {count} 次")
    OVER_TIME = Both("Over time", "随时间变化")
    THROUGHPUT = Both("Throughput", "吞吐量")
    ROWS_PER_SECOND = Both("rows per second", "行/秒")
    LATENCY = Both("Latency", "延迟")
    CONCURRENCY = Both("Concurrency", "并发")
    IN_FLIGHT = Both("in flight", "进行中")
    LIMIT = Both("limit", "上限")
    RETRIES = Both("Retries", "重试")
    NO_RETRIES = Both("No request was tried again.", "没有请求被重试。")
    NO_LATENCY = Both("These batch details do not tell of latency.", "批次明细未记录延迟。")
    FAILURES_OVER_TIME = Both("Failed rows", "失败行")
    TOKENS_OVER_TIME = Both("Tokens", "Token")
    TOKENS_PER_SECOND = Both("tokens per second", "token/秒")
    INTERVALS = Both("Each point stands for {seconds}. Times in {zone}.", "每个点代表 {seconds}，时区 {zone}。")
    LAST_START = Both("Latency of the last start", "最近一次启动的延迟")
    JOB = Both("Shard", "分片")
    TOKENS_AND_COST = Both("Tokens and cost", "Token 与费用")
    PROMPT_TOKENS = Both("Prompt", "输入")
    COMPLETION_TOKENS = Both("Completion", "输出")
    CACHED_TOKENS = Both("of which cached", "其中命中缓存")
    REASONING_TOKENS = Both("of which reasoning", "其中推理")
    TOTAL = Both("Total", "合计")
    PER_ROW = Both("Per row", "每行")
    NO_PRICES = Both("The model file has no prices, so the cost is unknown.", "模型文件没有写价格，费用未知。")
    NO_TOKENS = Both("No tokens were told by an endpoint.", "没有服务返回过 token 数。")
    TRIES_OF_A_ROW = Both("Attempts of a row", "每行的尝试次数")
    FINISH_REASONS = Both("Why answers ended", "回答结束原因")
    SAMPLES = Both("Rows to read", "样例")
    SAMPLES_TEXT = Both(
        "Drawn at random, the same ones each time. Texts are cut to {chars} characters.",
        "随机抽取，每次相同。文本截取前 {chars} 个字符。",
    )
    COUNT_OF_ROWS = Both("{count} rows", "{count} 行")
    PLACE = Both("{file}, row {row}", "{file} 第 {row} 行")
    NO_TEXT = Both("The output does not hold the text of this row.", "输出中没有这一行的文本。")
    MORE_CHARS = Both("… {count} more characters", "… 还有 {count} 个字符")
    ANSWER = Both("Answer of the model", "模型的回答")
    SETTINGS = Both("Settings", "配置")
    SYSTEM_PROMPT = Both("System prompt", "系统提示词")
    PROMPT = Both("Prompt", "提示词")
    PARAMETERS = Both("Parameters", "参数")
    RUN_NAME = Both("Run", "运行")
    COLUMNS = Both("Columns", "列")
    CARD_CAVEAT = Both(
        "Scores are the opinion of a judge and not checked by people. A row that failed has no score:"
        " `api_status` is `error`, and `api_fail_reason` says why.",
        "分数是打分器的意见，未经人工核对。失败的行没有分数：`api_status` 为 `error`，`api_fail_reason` 说明原因。",
    )
    MADE_BY = Both(
        "Made by ModelCall {version}. This file holds no script and loads nothing.",
        "由 ModelCall {version} 生成。本文件不含脚本，不加载任何外部资源。",
    )


TO_DO: Mapping[ErrorType, Both] = {
    ErrorType.TOO_LONG: Both(
        "Cut the texts, by preprocessing, or use a model with a longer context.",
        "预处理时截短文本，或换上下文更长的模型。",
    ),
    ErrorType.REFUSED: Both(
        "Read the answers; a softer rubric or another model may help.", "查看回答；可以调整提示词或更换模型。"
    ),
    ErrorType.FILTERED: Both(
        "A filter of the provider stepped in: accept these rows, or ask another provider.",
        "服务方的内容过滤所致：接受这些行，或换一个服务。",
    ),
    ErrorType.INVALID_OUTPUT: Both(
        "Read the answers: show the wanted JSON in the prompt, or give a json_schema.",
        "查看回答：在提示词中给出期望的 JSON，或提供 json_schema。",
    ),
    ErrorType.CUT: Both("Raise max_tokens, or ask for shorter answers.", "调大 max_tokens，或要求更短的回答。"),
    ErrorType.RETRIES_EXHAUSTED: Both(
        "Look at the endpoint, then start with --retry_failed.", "检查服务，然后用 --retry_failed 重新启动。"
    ),
    ErrorType.REJECTED: Both(
        "The endpoint refuses these requests: see the reason, correct it, then --retry_failed.",
        "服务拒绝了这些请求：按原因修正后用 --retry_failed。",
    ),
    ErrorType.BAD_ROW: Both(
        "Repair these rows in the input; asking again does not help.", "请修复输入中的这些行，重试没有用。"
    ),
    ErrorType.SCORER_ERROR: Both(
        "The scorer raised: correct its code, then --retry_failed.", "打分器抛出异常：修正代码后用 --retry_failed。"
    ),
}
"""What a reader may do about each kind of failure."""


@dataclass(frozen=True, slots=True)
class Words:
    """Says things in one language."""

    language: Language

    def __call__(self, phrase: Phrase, **facts: object) -> str:
        """Return a phrase with its facts; these are put in once and never looked into."""
        return self._of(phrase.value).format_map(facts)

    def to_do(self, kind: str) -> str:
        """Say what can be done about a kind of failure; nothing about one that is unknown here."""
        known = {str(known): text for known, text in TO_DO.items()}
        return self._of(known[kind]) if kind in known else ""

    def _of(self, text: Both) -> str:
        return text.zh if self.language == "zh" else text.en

    @property
    def tag(self) -> str:
        """The language as HTML names it."""
        return "zh-CN" if self.language == "zh" else "en"
