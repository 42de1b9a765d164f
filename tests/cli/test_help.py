"""Help: every command and every option says what it does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from pipeline.cli.app import NEXT, app
from tests.command import Trueup


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))


ALL = dict(commands(typer.main.get_command(app)))


def words(text: str) -> str:
    """Without line breaks, and without the hyphens that a break may follow."""
    return re.sub(r"\s+", "", text)


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_tells_what_a_command_and_each_of_its_options_do(trueup: Trueup, path: tuple[str, ...]) -> None:
    command, done = ALL[path], trueup(*path, "--help")
    assert done.code == 0
    assert done.err == ""
    shown = words(done.out)
    assert command.help
    assert words(command.help) in shown
    for parameter in command.params:
        assert parameter.help, parameter.name
        assert words(parameter.help) in shown, parameter.name
        for spelling in parameter.opts if isinstance(parameter, typer.core.TyperOption) else [parameter.metavar]:
            assert spelling in done.out
    for name in getattr(command, "commands", {}):
        assert name in done.out


def test_without_arguments_it_says_what_to_do_next(trueup: Trueup) -> None:
    done = trueup()
    assert (done.code, done.out, done.err) == (0, NEXT + "\n", "")


def test_what_it_says_to_do_next_exists() -> None:
    for name in re.findall(r"^  trueup (\w+)", NEXT, re.MULTILINE):
        assert (name,) in ALL


def test_a_command_that_is_none_is_refused(trueup: Trueup) -> None:
    done = trueup("raport")
    assert (done.code, done.out) == (2, "")
    assert "No such command 'raport'" in done.err


@pytest.mark.parametrize("group", ["config", "deadletter"])
def test_a_group_without_a_command_shows_its_help(trueup: Trueup, group: str) -> None:
    done = trueup(group)
    assert done.code == 2
    assert "Usage: " in done.err
    assert f"trueup {group} [OPTIONS] COMMAND" in done.err
