"""What consists of several parts that are started one after another, and ended together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import ExitStack
from typing import Self


class Parts(ABC):
    """For `with`: parts go into `_exit` as `_start` starts them; one that does not start ends those before it."""

    def __init__(self) -> None:
        self._exit = ExitStack()

    @abstractmethod
    def _start(self) -> None:
        """Start every part."""

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._exit.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()
