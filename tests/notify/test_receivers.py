"""What every receiver over HTTP does alike, with a server on the loopback interface that answers by script."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from deploy.local.process import free_port
from pipeline.config import Settings
from pipeline.notify.build import receiver_of
from pipeline.notify.clock import MICRO
from pipeline.notify.http import Connection, Endpoint, retry_after
from pipeline.notify.notification import Notification
from pipeline.notify.receiver import Receiver, Rejected, Retryable
from tests.notify.http_server import Answer, HttpServer
from tests.notify.world import START, notification, resolved

SECRET = "word-that-nobody-may-see"
KINDS = ("alertmanager", "webhook", "slack", "pagerduty")
Make = Callable[[str], Receiver]


def settings_of(kind: str, url: str, timeout: int = 5) -> dict[str, object]:
    """One receiver of a type, whose URL holds a secret where such URLs do."""
    own: dict[str, dict[str, object]] = {
        "alertmanager": {"url": url, "authorization": f"Bearer {SECRET}"},
        "webhook": {"url": f"{url}/{SECRET}", "secret": SECRET},
        "slack": {"url": f"{url}/services/{SECRET}"},
        "pagerduty": {"url": f"{url}/v2/enqueue", "routing_key": SECRET},
    }
    return {"type": kind, "name": kind, "timeout": timeout, **own[kind]}


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes a receiver of each type at a URL, from its settings."""
    made: list[Receiver] = []

    def receiver(url: str, timeout: int = 5) -> Receiver:
        settings = Settings(notify={"receivers": [settings_of(request.param, url, timeout)]})  # type: ignore[arg-type]
        made.append(receiver_of(settings, settings.notify.receivers[0]))
        return made[-1]

    yield receiver
    for each in made:
        each.close()


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with HttpServer() as running:
        yield running


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_an_answer_of_success_is_the_end(make: Make, server: HttpServer, status: int) -> None:
    server.say(Answer(status, body=b"" if status == 204 else b"ok"))
    make(server.url).send(notification())
    (request,) = server.requests
    assert request.headers["Content-Type"] == "application/json"
    assert request.json


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_an_answer_that_may_change_is_to_be_asked_for_again(make: Make, server: HttpServer, status: int) -> None:
    server.say(Answer(status, {"Retry-After": "17"}, b"come  back\nlater"))
    with pytest.raises(Retryable, match=rf"127.0.0.1:{server.port} answers {status}: come back later$") as told:
        make(server.url).send(notification())
    assert told.value.after == 17


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 404, 410, 422])
def test_an_answer_that_will_stay_is_final(make: Make, server: HttpServer, status: int) -> None:
    """Redirects are not followed: they would carry the alert, and its secrets, to whom nobody named."""
    server.say(Answer(status, {"Location": f"{server.url}/elsewhere"}, b"no"))
    with pytest.raises(Rejected, match=f"answers {status}: no"):
        make(server.url).send(notification())
    assert len(server.requests) == 1


def test_a_server_that_cuts_the_connection_is_tried_again(make: Make, server: HttpServer) -> None:
    server.say(Answer(cut=True))
    with pytest.raises(Retryable, match=f"127.0.0.1:{server.port} breaks the connection"):
        make(server.url).send(notification())


def test_a_server_that_does_not_answer_is_left_after_the_timeout(make: Make, server: HttpServer) -> None:
    server.say(Answer(hang=True))
    with pytest.raises(Retryable, match=f"127.0.0.1:{server.port} does not answer in time"):
        make(server.url, timeout=1).send(notification())  # type: ignore[call-arg]


def test_nobody_who_listens_is_tried_again(make: Make) -> None:
    with pytest.raises(Retryable, match=r"cannot be connected to .*is it running, is the URL right"):
        make(f"http://127.0.0.1:{free_port()}").send(notification())


def test_a_name_that_does_not_resolve_is_tried_again(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(Retryable, match=r"receiver\.invalid cannot be connected to"):
        make("http://receiver.invalid").send(notification())


def test_one_who_does_not_speak_tls_is_tried_again(make: Make, server: HttpServer) -> None:
    with pytest.raises(Retryable, match=r"breaks the connection \(SSLError"):
        make(server.url.replace("http://", "https://")).send(notification())


@pytest.mark.parametrize("answer", [Answer(404), Answer(500), Answer(cut=True)], ids=["404", "500", "cut"])
def test_no_error_tells_a_secret(make: Make, server: HttpServer, answer: Answer) -> None:
    server.say(answer)
    with pytest.raises((Retryable, Rejected)) as told:
        make(server.url).send(notification())
    assert SECRET not in str(told.value)
    assert any(SECRET in f"{r.path}{r.headers}{r.body!r}" or "webhook-signature" in r.headers for r in server.requests)


def test_a_connection_is_used_again(make: Make, server: HttpServer) -> None:
    server.say(Answer(body=b'{"status":"success"}'), Answer(500, body=b"x" * 1_000))
    receiver = make(server.url)
    receiver.send(notification())
    with pytest.raises(Retryable):
        receiver.send(notification())
    receiver.send(resolved())
    assert len({request.connection for request in server.requests}) == 1


def test_an_answer_without_end_is_not_read_to_its_end(make: Make, server: HttpServer) -> None:
    server.say(Answer(400, body=b"word " * 2_000, announced=10**9))
    with pytest.raises(Rejected) as told:
        make(server.url).send(notification())
    assert len(str(told.value)) < 300


HOSTILE = "\ud800</script>\x00\x1b[31m'; DROP TABLE alerts; --\n{title}${jndi:ldap://x}%s\u202e"


@pytest.mark.parametrize("made", [notification, resolved])
def test_hostile_text_arrives_as_json(make: Make, server: HttpServer, made: Callable[..., Notification]) -> None:
    texts = dict.fromkeys(("title", "workflow", "slo", "objective", "owner", "contact", "link", "runbook"), HOSTILE)
    make(server.url).send(made(text=(HOSTILE,), labels={HOSTILE: HOSTILE}, transition_id=HOSTILE, **texts))
    assert server.requests[0].json


def test_everything_that_may_be_missing_may_be_missing(make: Make, server: HttpServer) -> None:
    bare = Notification(
        key="k", transition_id="t", status=notification().status, severity=None, title="lag", started_at=START
    )
    make(server.url).send(bare)
    assert server.requests[0].json


# --- what all of them share ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("9" * 400, 999_999_999.0),
        (format_datetime(datetime.fromtimestamp(START / MICRO, UTC) + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(datetime.fromtimestamp(START / MICRO, UTC) - timedelta(seconds=90), usegmt=True), 0.0),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, START) == seconds


@pytest.mark.parametrize("url", ["", "nowhere", "ftp://host/", "http://", f"file:///{SECRET}", f"http://[{SECRET}"])
def test_what_is_no_url_is_tried_again_and_not_told(url: str) -> None:
    """Its file may be put right meanwhile."""
    with pytest.raises(Retryable, match="the URL of the receiver is none") as told:
        Endpoint(lambda: url).post(b"{}")
    assert SECRET not in str(told.value)


@pytest.mark.parametrize("authorization", ["a\r\nX-Injected: 1", "\u2603"])
def test_a_header_that_cannot_be_sent_is_not_sent(server: HttpServer, authorization: str) -> None:
    with pytest.raises(Retryable, match="correct the headers or ca_file"):
        Endpoint(lambda: server.url, authorization=lambda: authorization).post(b"{}")
    assert server.requests == []


def test_an_authority_that_cannot_be_read_is_told(server: HttpServer, tmp_path: Path) -> None:
    connection = Connection(ca_file=str(tmp_path / "absent.pem"))
    with pytest.raises(Retryable, match=rf"127.0.0.1:{server.port}"):
        Endpoint(lambda: server.url.replace("http:", "https:"), connection).post(b"{}")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own authority, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    made, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(made), "-days", "2", "-subj", "/CN=receiver"]
    subprocess.run([*command, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    return made, key


def test_a_server_is_trusted_by_its_authority_and_by_no_other(certificate: tuple[Path, Path]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with HttpServer(tls=context) as server:
        trusting = Endpoint(lambda: server.url, Connection(ca_file=str(certificate[0])))
        trusting.post(b"{}")
        trusting.close()
        with pytest.raises(Retryable, match=r"breaks the connection .*certificate verify failed"):
            Endpoint(lambda: server.url).post(b"{}")
    assert len(server.requests) == 1


def test_a_secret_file_that_cannot_be_read_is_tried_again(server: HttpServer, tmp_path: Path) -> None:
    """Someone may put it right meanwhile; and a new secret counts from the next message."""
    file = tmp_path / "url"
    hook = {"type": "slack", "name": "slack", "url_file": str(file)}
    settings = Settings(notify={"receivers": [hook]})  # type: ignore[arg-type]
    receiver = receiver_of(settings, settings.notify.receivers[0])
    with pytest.raises(Retryable, match=r"cannot read the secret in .*url: No such file"):
        receiver.send(notification())
    file.write_text(f"{server.url}/one\n")
    receiver.send(notification())
    file.write_text(f"{server.url}/two\n")
    receiver.send(notification())
    receiver.close()
    assert [request.path for request in server.requests] == ["/one", "/two"]


def test_a_proxy_is_used_where_one_is_named(server: HttpServer) -> None:
    hook = {"type": "slack", "name": "slack", "url": "http://hooks.invalid/services/1", "proxy": server.url}
    settings = Settings(notify={"receivers": [hook]})  # type: ignore[arg-type]
    receiver = receiver_of(settings, settings.notify.receivers[0])
    receiver.send(notification())
    receiver.close()
    assert server.requests[0].path == "http://hooks.invalid/services/1"
