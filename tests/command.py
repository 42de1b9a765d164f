"""The command as its user meets it: arguments in, an exit code and two streams out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from pipeline.cli import main


class Done(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


Trueup = Callable[..., Done]


def runner(capsys: pytest.CaptureFixture[str]) -> Trueup:
    """Runs `trueup` with arguments, in this process."""

    def run(*arguments: str) -> Done:
        capsys.readouterr()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["trueup", *arguments])
            with pytest.raises(SystemExit) as stop:
                main()
        said = capsys.readouterr()
        code = stop.value.code
        return Done(code if isinstance(code, int) else 0, said.out, said.err)

    return run
