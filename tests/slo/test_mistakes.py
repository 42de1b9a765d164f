"""Every mistake of mistakes.yaml is named with its line and its fix."""

from pathlib import Path

import pytest
import yaml

from pipeline.slo.resolve import check

HERE = Path(__file__).parent
CLAIMS = (HERE / "claims.yaml").read_text("utf-8")
MISTAKES = yaml.safe_load((HERE / "mistakes.yaml").read_text("utf-8"))


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: f"{mistake['to'] or mistake['change']!s:.50}")
def test_a_mistake_is_named_with_its_line_and_its_fix(mistake: dict[str, str]) -> None:
    assert mistake["change"] in CLAIMS
    text = CLAIMS.replace(mistake["change"], mistake["to"], 1)
    problems = check([("claims.yaml", text)]).problems
    matching = [each for each in problems if mistake["what"] in each.what and mistake["fix"] in each.fix]
    assert matching, [str(each) for each in problems]
    assert matching[0].file == "claims.yaml"
    assert text[: text.index(mistake["line"])].count("\n") + 1 == matching[0].line


def test_all_mistakes_at_once_are_all_named() -> None:
    """One run names everything, so that nobody corrects a file one error at a time."""
    wrong = {
        "maturity: p95": "maturity: x",
        "8.5": "85",
        "op: lte": "op: gte",
        "Berlin": "Bxrlin",
        "threshold: 13": "x: 1",
    }
    text = CLAIMS
    for right, instead in wrong.items():
        text = text.replace(right, instead, 1)
    lines = [problem.line for problem in check([("claims.yaml", text)]).problems]
    assert lines == sorted(lines)
    assert set(lines) >= {text[: text.index(instead)].count("\n") + 1 for instead in wrong.values()}
