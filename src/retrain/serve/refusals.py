"""What is said to who cannot be served: a status, and `{"error": "..."}` in words."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

RETRY = 1  # seconds after which it is worth coming again


class Refused(Exception):
    """A request that cannot be answered.

    status: of HTTP. reason: one sentence for the person who wrote the client.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


def refusal(status: int, reason: str) -> Response:
    """Return the answer that says so, in the form that all dialects share.

    What came of the body may still be on its way, so after some of them the connection is closed.
    """
    headers = {}
    if status in (429, 503):
        headers["retry-after"] = str(RETRY)
    if status in (408, 413, 429, 503):
        headers["connection"] = "close"
    return JSONResponse({"error": reason}, status, headers)


async def on_refused(_: Request, error: Exception) -> Response:
    """Answer for a handler that raised Refused."""
    assert isinstance(error, Refused)
    return refusal(error.status, error.reason)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer for Starlette: no such path, no such method, a body that is too long."""
    assert isinstance(error, HTTPException)
    reasons = {
        404: f"There is no {request.url.path[:200]} here; GET /docs tells what there is.",
        405: f"{request.method} is not for {request.url.path[:200]}; GET /docs tells what is.",
    }
    answer = refusal(error.status_code, reasons.get(error.status_code, str(error.detail)))
    answer.headers.update(error.headers or {})
    return answer
