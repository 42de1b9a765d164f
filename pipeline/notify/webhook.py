"""Your own endpoint: the document as JSON, signed as Standard Webhooks says (https://www.standardwebhooks.com).

`webhook-id` is the same in every attempt, so that the endpoint can recognise what it has. `webhook-signature` is
`v1,` and Base64 of HMAC-SHA256 over `id.timestamp.body`; a receiver that checks the timestamp is safe from replays.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from pipeline.notify.clock import MICRO, SYSTEM, Clock
from pipeline.notify.document import document, encoded
from pipeline.notify.http import Endpoint, Secret, current
from pipeline.notify.notification import Notification
from pipeline.notify.receiver import Retryable

_BASE64 = "whsec_"


class Webhook:
    """A receiver. `secret` signs; empty: messages are not signed."""

    def __init__(self, endpoint: Endpoint, secret: Secret = str, clock: Clock = SYSTEM) -> None:
        self._endpoint = endpoint
        self._secret = secret
        self._clock = clock

    def send(self, notification: Notification) -> None:
        """Post the document. Raises Retryable or Rejected."""
        body, secret = encoded(document(notification)), current(self._secret)
        at = str(self._clock.wall() // MICRO)
        headers = {"webhook-id": header(notification.transition_id), "webhook-timestamp": at}
        if secret:
            headers["webhook-signature"] = sign(secret, headers["webhook-id"], at, body)
        self._endpoint.post(body, headers)

    def close(self) -> None:
        """Close the connections."""
        self._endpoint.close()


def sign(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """The value of `webhook-signature`. A secret `whsec_…` is Base64, any other is taken as it is.

    Raises Retryable for one that is not what it says: someone may put it right meanwhile.
    """
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    digest = hmac.new(_key(secret), signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def header(text: str) -> str:
    """A text that a header can hold, the same for the same text."""
    plain = text.isascii() and text.isprintable() and 0 < len(text) <= 200 and text.strip() == text
    return text if plain else hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _key(secret: str) -> bytes:
    if secret.startswith(_BASE64):
        try:
            return base64.b64decode(secret.removeprefix(_BASE64), validate=True)
        except binascii.Error:
            raise Retryable(f"the secret begins with {_BASE64} and the rest is not Base64; correct it") from None
    return secret.encode()
