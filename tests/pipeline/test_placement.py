import pytest

from modelcall.errors import ConfigError
from modelcall.pipeline.placement import check_placement
from modelcall.state.listing import ListedFile
from modelcall.state.run import RunRecord


def record(*names: str) -> RunRecord:
    return RunRecord(
        run="r",
        number=1,
        timestamp="t",
        created="c",
        fresh=False,
        world_size=1,
        num_runs=1,
        identity={},
        input="/in",
        files=tuple(ListedFile(name, f"/in/{name}", 1, "e") for name in names),
        output_format="parquet",
    )


def test_all_shared_output_names_are_told_at_once_however_many() -> None:
    names = [f"{number}.{suffix}" for number in range(20_000) for suffix in ("jsonl", "parquet")]
    with pytest.raises(ConfigError, match="share an output name") as caught:
        check_placement(record(*names), "/out")
    assert len(caught.value.mistakes) == 20_000
    assert str(caught.value.mistakes[7]) == "7.jsonl and 7.parquet both become 7.parquet"


@pytest.mark.parametrize("output", ["/in", "/in/below"])
def test_output_in_the_input_folder_is_refused(output: str) -> None:
    with pytest.raises(ConfigError, match=r"lies in the input folder /in|would replace its own input"):
        check_placement(record("a.parquet"), output)


def test_output_beside_the_input_is_fine() -> None:
    check_placement(record("a.parquet", "b.jsonl"), "/in2")
