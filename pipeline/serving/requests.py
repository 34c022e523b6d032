"""Check the bodies of requests to a served model before MLflow's server parses them."""

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
NUMBER_BYTES, OTHER_BYTES = 64, 1 << 16
"""Maximum bytes of a body: per number of a latent, with the name of its column, and for everything else."""
LONGEST = 400
"""Maximum length of a message, in characters."""


@dataclass(frozen=True)
class Checked:
    """MLflow's function that answers a request, called only with bodies that it can parse quickly.

    A model accepts at most `rows` of `width` numbers. MLflow parses a body before any model sees it: it answers 500 if
    that fails, and takes minutes and gigabytes for a table of a million columns.
    """

    answer: Callable[..., Any]
    rows: int
    width: int

    def __call__(self, data: bytes, kind: str | None, *rest: Any) -> Any:
        """Check the body, and return MLflow's answer.

        Raises:
            MlflowException: the body is not allowed, or the model refuses it; one line, status 400.
        """
        self._check(data, (kind or "").partition(";")[0].strip())
        try:
            return self.answer(data, kind, *rest)
        except MlflowException as error:
            if error.get_http_status_code() != 400:  # type: ignore[no-untyped-call]  # MLflow has no types here
                raise
            if "stack_trace" in error.json_kwargs:  # which is of no use to the client
                logging.getLogger(__name__).warning("a request failed", exc_info=error)
            raise refusal(error.message.rpartition("\nError: ")[2]) from error
        except (KeyError, TypeError, ValueError) as error:  # by pandas, for a table that it cannot build
            raise refusal(f"the body is not a table ({type(error).__name__}: {error})") from error

    def _check(self, data: bytes, kind: str) -> None:
        most = NUMBER_BYTES * self.rows * self.width + OTHER_BYTES
        if len(data) > most:
            raise refusal(f"the body has {len(data)} bytes; it may have {most}")
        if kind == JSON:
            self._check_json(data)
        elif kind == CSV:
            self._check_columns(max((line.count(b",") + 1 for line in data.splitlines()), default=0))
        else:
            raise refusal(f"Content-Type is {kind or 'missing'}; it must be {JSON} or {CSV}")

    def _check_json(self, data: bytes) -> None:
        try:
            tree = from_json(data)
        except ValueError as error:
            raise refusal(f"the body is not valid JSON ({error})") from error
        records = tree.get("dataframe_records") if isinstance(tree, dict) else None
        if isinstance(records, list):  # pandas makes a column for each key of any record
            if len(records) > self.rows:
                raise refusal(f"the table has {len(records)} rows; it may have from 1 to {self.rows}")
            self._check_columns(max((len(each) for each in records if isinstance(each, dict)), default=0))

    def _check_columns(self, found: int) -> None:
        if found > self.width:
            raise refusal(f"the table has {found} columns; latents of this model have {self.width}")


def check(rows: int, width: int) -> None:
    """Check all later requests to MLflow's server, if this process is one."""
    server: Any = sys.modules.get(SERVER)
    if server:
        server.invocations = Checked(getattr(server.invocations, "answer", server.invocations), rows, width)


def refusal(message: str) -> MlflowException:
    """Return an error that MLflow answers with status 400 and a message of one line."""
    line = " ".join(message.split())
    short = line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} … {line[-LONGEST // 2 :]}"
    return MlflowException(short, INVALID_PARAMETER_VALUE)
