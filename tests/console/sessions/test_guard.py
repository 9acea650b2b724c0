"""Pages of other origins cannot use a session; links to the console work."""

from collections.abc import Mapping

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from console.sessions.guard import OriginGuardMiddleware

LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


async def page(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        websocket = WebSocket(scope, receive, send)
        await websocket.accept()
        await websocket.close()
        return
    await PlainTextResponse("page")(scope, receive, send)


async def ask(
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    host: str = "127.0.0.1:8090",
    *,
    loopback_only: bool = True,
) -> httpx.Response:
    guard = OriginGuardMiddleware(page, loopback_only=loopback_only)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(guard), base_url="http://console") as http:
        return await http.request(method, "/", headers={"Host": host, **(headers or {})})


@pytest.mark.parametrize(
    "origin", ["http://127.0.0.1:3000", "http://localhost:8090", "https://evil.example", "http://[", "null"]
)
async def test_a_page_of_another_origin_can_send_no_request(origin: str) -> None:
    assert (await ask("POST", {"Origin": origin})).status_code == 403
    assert (await ask("GET", {"Origin": origin})).status_code == 403


async def test_the_consoles_own_pages_can() -> None:
    assert (await ask("POST", {"Origin": "http://127.0.0.1:8090", "Sec-Fetch-Site": "same-origin"})).status_code == 200


async def test_a_link_leads_to_a_page() -> None:
    assert (await ask("GET", LINK)).status_code == 200


@pytest.mark.parametrize(
    ("method", "changed"),
    [
        ("GET", {"Sec-Fetch-Dest": "iframe"}),
        ("GET", {"Sec-Fetch-Dest": "image", "Sec-Fetch-Mode": "no-cors"}),
        ("GET", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}),
        ("POST", {}),
    ],
)
async def test_another_page_can_do_no_more_than_link(method: str, changed: dict[str, str]) -> None:
    assert (await ask(method, LINK | changed)).status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8090", "127.0.0.1.evil.example", "[::1", ""])
async def test_a_console_on_loopback_refuses_names_that_were_pointed_at_it(host: str) -> None:
    assert (await ask(host=host)).status_code == 403


async def test_a_console_behind_an_ingress_has_any_name() -> None:
    response = await ask("POST", {"Origin": "https://console.example"}, "console.example", loopback_only=False)
    assert response.status_code == 200


async def test_the_browser_is_told_to_load_nothing_from_elsewhere_and_to_frame_it_nowhere() -> None:
    headers = (await ask()).headers
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize(("port", "answer"), [(8090, "websocket.accept"), (3000, "websocket.close")])
async def test_a_websocket_of_another_origin_is_refused(port: int, answer: str) -> None:
    headers = [(b"host", b"127.0.0.1:8090"), (b"origin", b"http://127.0.0.1:%d" % port)]
    answers: list[str] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        answers.append(message["type"])

    guard = OriginGuardMiddleware(page, loopback_only=True)
    await guard({"type": "websocket", "path": "/", "headers": headers}, receive, send)
    assert answers[0] == answer
