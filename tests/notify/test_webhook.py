"""The generic webhook: what it sends, and that its signature can be checked."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator

import pytest

from pipeline.notify.clock import MICRO
from pipeline.notify.document import document
from pipeline.notify.http import Endpoint
from pipeline.notify.receiver import Retryable
from pipeline.notify.webhook import Webhook, header, sign
from pipeline.slo.windows import Severity
from tests.notify.http_server import Answer, HttpServer, Request
from tests.notify.world import START, Time, notification, resolved

SECRET = "a word of ours"


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with HttpServer() as running:
        yield running


def webhook(server: HttpServer, time: Time, secret: str = SECRET) -> Webhook:
    return Webhook(Endpoint(lambda: server.url), lambda: secret, time.clock)


def is_genuine(request: Request, key: bytes) -> bool:
    """As docs/notifications.md tells an endpoint to check it."""
    signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return hmac.compare_digest(request.headers["webhook-signature"], expected)


def test_the_signature_is_the_one_of_standard_webhooks() -> None:
    """The example that its libraries are tested with."""
    key, message = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek"
    signature = sign(key, message, "1614265330", b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_message_can_be_checked_and_a_changed_one_is_found_out(server: HttpServer) -> None:
    webhook(server, Time()).send(notification())
    (request,) = server.requests
    assert is_genuine(request, SECRET.encode())
    assert not is_genuine(request, b"another word")
    for changed in (
        Request(request.path, request.headers, request.body + b" ", 0),
        Request(request.path, {**request.headers, "webhook-timestamp": "1"}, request.body, 0),
        Request(request.path, {**request.headers, "webhook-id": "1"}, request.body, 0),
    ):
        assert not is_genuine(changed, SECRET.encode())


def test_an_attempt_has_its_own_time_and_the_id_of_the_transition(server: HttpServer) -> None:
    server.say(Answer(503))
    time = Time()
    receiver = webhook(server, time)
    with pytest.raises(Retryable):
        receiver.send(notification())
    time.seconds += 30
    receiver.send(notification())
    first, second = server.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == notification().transition_id
    seconds = START // MICRO
    assert [r.headers["webhook-timestamp"] for r in (first, second)] == [str(seconds), str(seconds + 30)]
    assert first.body == second.body


def test_without_a_secret_it_is_not_signed(server: HttpServer) -> None:
    webhook(server, Time(), secret="").send(notification())
    assert "webhook-signature" not in server.requests[0].headers


def test_a_secret_that_is_not_what_it_says_is_told(server: HttpServer) -> None:
    with pytest.raises(Retryable, match="begins with whsec_ and the rest is not Base64"):
        webhook(server, Time(), secret="whsec_!").send(notification())
    assert server.requests == []


def test_the_body_is_the_whole_notification(server: HttpServer) -> None:
    sent = resolved(replaced=Severity.TICKET, targets={Severity.PAGE: ("on-call", "board")})
    webhook(server, Time()).send(sent)
    body = server.requests[0].json
    assert body == document(sent)
    assert (body["id"], body["key"], body["status"], body["severity"], body["replaced"]) == (
        sent.transition_id,
        sent.key,
        "resolved",
        "page",
        "ticket",
    )
    assert (body["started_at"], body["ended_at"]) == ("2026-11-18T11:06:40.000000Z", "2026-11-18T11:16:40.000000Z")
    assert body["failed_tasks"] == [
        {"text": "task-1", "url": "https://trueup.example/tasks/1"},
        {"text": "task-2", "url": ""},
    ]
    assert body["targets"] == {"page": ["board", "on-call"]}
    assert {field for field in sent.__slots__ if field != "transition_id"} <= set(body), "nothing is left out"


@pytest.mark.parametrize("text", ["", " a", "a\r\nX-Injected: 1", "ä", "x" * 201, "\ud800"])
def test_an_id_that_a_header_cannot_hold_is_hashed(text: str) -> None:
    made = header(text)
    assert made == header(text) == hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    assert header("key-1-5-fired") == "key-1-5-fired"
