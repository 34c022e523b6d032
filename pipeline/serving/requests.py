"""Bodies of requests to a served model, held to what they may be before MLflow's server reads them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from pydantic_core import from_json

SERVER = "mlflow.pyfunc.scoring_server"
JSON, CSV = "application/json", "text/csv"
A_NUMBER, BESIDES = 64, 1 << 16
"""Bytes that a number of a latent may take, with the name of its column, and those of all else in a body."""
LONGEST = 400
"""Characters of a message."""


@dataclass(frozen=True)
class Checked:
    """MLflow's function that answers a request, given only bodies that it can read in a moment.

    `rows` of `width` numbers are the most that a model takes. MLflow parses a body before any model sees it, answers
    500 where that fails, and takes minutes and gigabytes for a table of a million columns.
    """

    answer: Callable[..., Any]
    rows: int
    width: int

    def __call__(self, data: bytes, kind: str | None, *rest: Any) -> Any:
        """Return the answer.

        Raises:
            MlflowException: the body is not what it may be, or the model refuses it; one line, status 400.
        """
        self._hold(data, (kind or "").partition(";")[0].strip())
        try:
            return self.answer(data, kind, *rest)
        except MlflowException as error:
            if error.get_http_status_code() != 400:  # type: ignore[no-untyped-call]
                raise
            if "stack_trace" in error.json_kwargs:  # which is nothing for who asked
                logging.getLogger(__name__).warning("a request failed", exc_info=error)
            raise refusal(error.message.rpartition("\nError: ")[2]) from error
        except (KeyError, TypeError, ValueError) as error:  # pandas, of a table that it cannot make
            raise refusal(f"the body is no table ({type(error).__name__}: {error})") from error

    def _hold(self, data: bytes, kind: str) -> None:
        most = A_NUMBER * self.rows * self.width + BESIDES
        if len(data) > most:
            raise refusal(f"the body has {len(data)} bytes; it may have {most}")
        if kind == JSON:
            self._hold_json(data)
        elif kind == CSV:
            self._hold_columns(max((line.count(b",") + 1 for line in data.splitlines()), default=0))
        else:
            raise refusal(f"Content-Type is {kind or 'not said'}; it must be {JSON} or {CSV}")

    def _hold_json(self, data: bytes) -> None:
        try:
            tree = from_json(data)
        except ValueError as error:
            raise refusal(f"the body is not valid JSON ({error})") from error
        records = tree.get("dataframe_records") if isinstance(tree, dict) else None
        if isinstance(records, list):  # of which pandas makes a column for each name that is in any
            if len(records) > self.rows:
                raise refusal(f"the table has {len(records)} rows; it may have from 1 to {self.rows}")
            self._hold_columns(max((len(each) for each in records if isinstance(each, dict)), default=0))

    def _hold_columns(self, found: int) -> None:
        if found > self.width:
            raise refusal(f"the table has {found} columns; latents of this model have {self.width}")


def check(rows: int, width: int) -> None:
    """Hold from now on what MLflow's server is sent, where this process is one."""
    server: Any = sys.modules.get(SERVER)
    if server:
        server.invocations = Checked(getattr(server.invocations, "answer", server.invocations), rows, width)


def refusal(said: str) -> MlflowException:
    """Return what MLflow answers as status 400, with a message of one line."""
    line = " ".join(said.split())
    short = line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} … {line[-LONGEST // 2 :]}"
    return MlflowException(short, INVALID_PARAMETER_VALUE)
