"""The pipeline through which the operations of every transport pass.

`prepare` finds the document, checks it and its variables against all limits, and selects the operation; `execute` and
`subscribe` run what was checked.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import msgspec
from graphql import ExecutionResult, GraphQLSchema, OperationType
from graphql.execution.values import VariableValues

from graph.context import Context
from graph.documents.document import Document, Documents, Operation
from graph.documents.errors import RequestErrors
from graph.http.errors import BadRequest, BodyTooLarge, OperationNotFound
from graph.http.loop_limiter import LoopLimiter
from graph.http.multipart import UploadRequest
from graph.http.persisted_queries import RequestedDocuments
from graph.http.requests import BulkRequest, GraphQLRequest, decode_request
from graph.http.trusted_documents import TrustedDocuments
from graph.limits.bodies import BodyLimit
from graph.limits.cpu_budget import CpuBudget
from graph.limits.limits import Limits
from graph.limits.time_limit import run_with_timeout
from graph.request_state import RequestState
from graph.telemetry.traces import TRACES

MAX_REQUESTS_PER_ITERATION = 4
"""Requests to start in one iteration of the event loop; most take less than a millisecond."""

MAX_NEW_DOCUMENTS_PER_ITERATION = 4
"""New documents to parse, validate and plan in one iteration of the event loop; each takes 2 to 3 milliseconds."""

LONG_SECONDS = 0.01
"""CPU seconds of a new document after which no other is parsed in the same iteration."""


@dataclass(frozen=True, slots=True)
class PreparedOperation:
    """An operation that may be executed: its document is valid, and it is within all limits with its variables.

    `variables` are those declared, as the client sent them; `coerced` are the values that resolvers get.
    """

    document: Document
    operation: Operation
    name: str | None
    variables: dict[str, Any]
    coerced: VariableValues

    @property
    def kind(self) -> OperationType:
        """Its type: query, mutation or subscription."""
        return self.operation.kind


class Pipeline:
    """Prepares and executes operations."""

    def __init__(self, schema: GraphQLSchema, limits: Limits, trusted: TrustedDocuments, max_query: BodyLimit) -> None:
        self._limits = limits
        self._max_query = max_query
        self._requested_documents = RequestedDocuments(trusted)
        self._documents = Documents(schema, limits)
        self._requests = LoopLimiter(MAX_REQUESTS_PER_ITERATION)
        self._new_documents = LoopLimiter(MAX_NEW_DOCUMENTS_PER_ITERATION)
        self._cpu_budget = CpuBudget()

    async def prepare(self, request: GraphQLRequest, state: RequestState) -> PreparedOperation:
        """Return the operation of a request.

        Raises `HTTPError`, `OverLimit`, and `RequestErrors` if its document or its variables are invalid.
        """
        await self._requests.enter()
        text = self._requested_documents.find(request)
        document, operation = await self._find(text, request.operation_name, state)
        self._requested_documents.remember(request)
        if operation is None:
            raise OperationNotFound("Set `operationName` to the name of an operation of the document.")
        state.operation_name = operation.name
        takes_rows = bool(operation.variables.rows)
        if state.body_bytes > self._max_query.bytes and not (takes_rows or isinstance(request, UploadRequest)):
            raise BodyTooLarge(self._max_query)
        if takes_rows:
            await asyncio.sleep(0)  # the body, which may be large, was scanned just now and is scanned again below
        variables = _variables(request, operation)
        coerced = operation.executable.coerce(variables)
        if isinstance(coerced, list):
            raise RequestErrors(coerced, "BAD_REQUEST")
        operation.cost.check(coerced.coerced)
        if not takes_rows:
            state.release_body()
        return PreparedOperation(document, operation, request.operation_name, variables, coerced)

    async def execute(self, prepared: PreparedOperation, context: Context) -> ExecutionResult:
        """Execute a query or a mutation. Raises `OverLimit` if a query takes too long."""
        with TRACES.operation(prepared.kind.value, prepared.name, prepared.document.digest):
            result = prepared.operation.executable.execute(prepared.coerced, context)
            if prepared.kind is not OperationType.QUERY:  # mutations have no time limit: a large batch takes long
                return await result
            return await run_with_timeout(self._limits, result)

    async def subscribe(self, prepared: PreparedOperation, context: Context) -> AsyncGenerator[ExecutionResult, None]:
        """Yield the result of each event of a subscription; a query or mutation has one."""
        if prepared.kind is not OperationType.SUBSCRIPTION:
            yield await self.execute(prepared, context)
            return
        async with aclosing(prepared.operation.executable.subscribe(prepared.coerced, context)) as results:
            async for result in results:
                yield result

    async def _find(
        self, text: str, operation_name: str | None, state: RequestState
    ) -> tuple[Document, Operation | None]:
        if self._documents.has(text, operation_name):
            document = self._documents.get(text)
            return document, document.operation(operation_name)
        self._cpu_budget.check(state.client)
        await self._new_documents.enter()
        self._cpu_budget.check(state.client)  # others of this caller may have used it up meanwhile
        started_at = time.thread_time()
        try:
            document = self._documents.get(text)
            return document, document.operation(operation_name)
        finally:
            seconds = time.thread_time() - started_at
            self._cpu_budget.spend(state.client, seconds)
            if seconds > LONG_SECONDS:
                self._new_documents.end_iteration()


def _variables(request: GraphQLRequest, operation: Operation) -> dict[str, Any]:
    try:
        extracted = request.extracted if isinstance(request, BulkRequest) else None
        variables = operation.variables.decode(request.variables, extracted)
        if extracted and not extracted.is_joined:  # the extracted array does not hold rows
            variables = operation.variables.decode(decode_request(extracted.body, "body").variables)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"`variables` are invalid: {error}.") from error
    if isinstance(request, UploadRequest):
        request.insert_upload(variables)
    return variables
