"""The local agent of `latchkey serve`, on its Unix socket (openapi-agent.json): records and rituals of the node in the
same TD. Whoever may open the socket has all its rights. Nothing is retried."""

import base64
import json
import socket
import time
import urllib.parse
from dataclasses import dataclass, field
from typing import Any, Optional, Sequence, Tuple

from latchkey_client import ProtocolError, exchange, from_base64, read_answer

# A value of 16 MiB in base64, and what is around it.
MAX_ANSWER_BYTES = 24 * 1024 * 1024


@dataclass(frozen=True)
class Fragment:
    """A node's fragment of one ritual; `timestamp` is unix time in seconds."""

    timestamp: int
    bytes: bytes = field(repr=False)


@dataclass(frozen=True)
class DecryptionInputs:
    """What a share of a threshold decryption is made of."""

    fragment: Fragment
    dkg_size: int
    threshold: int
    aggregated_transcript: bytes
    public_key: bytes
    # Address and public key of each validator, in order; this node is the one at `position`.
    validators: Sequence[Tuple[str, bytes]]
    position: int


# How soon a connection is tried again while the queue of the socket is full.
RETRY_S = 0.02


class Agent:
    """Each method raises Refused with the code of the agent, ProtocolError for what is no answer of an agent, and OSError
    or http.client.HTTPException when the agent cannot be reached."""

    def __init__(self, socket_path: str, timeout_s: float = 20.0):
        """Does not connect yet; `timeout_s` bounds each answer as a whole."""
        self.socket_path = socket_path
        self.timeout_s = timeout_s

    def status(self) -> Any:
        return self._ask("GET", "/status")

    def create_namespace(self, namespace: str) -> None:
        """Makes a namespace, or leaves the one that is there."""
        self._ask("PUT", "/kv/" + _part(namespace), {})

    def put(self, namespace: str, name: str, value: bytes) -> None:
        """Writes a record. Once it returns, the record is on the disk."""
        self._ask("PUT", _record(namespace, name), {"value": base64.b64encode(value).decode()})

    def get(self, namespace: str, name: str) -> bytes:
        """Reads a record. @raises Refused STORE_NAME_MISSING when there is none."""
        return _bytes(self._ask("GET", _record(namespace, name)), "value")

    def delete(self, namespace: str, name: str) -> None:
        self._ask("DELETE", _record(namespace, name))

    def store_fragment(self, ritual: int, timestamp: int, fragment: bytes) -> bool:
        """Stores the fragment of a ritual; False when the same bytes were stored before."""
        body = {"timestamp": timestamp, "fragment": base64.b64encode(fragment).decode()}
        return bool(_member(self._ask("PUT", f"/rituals/{ritual:d}", body), "written", bool))

    def retrieve_fragment(self, ritual: int) -> Fragment:
        """The fragment of a ritual, if its conditions allow it."""
        return _fragment(self._ask("GET", f"/rituals/{ritual:d}"))

    def delete_fragment(self, ritual: int) -> None:
        """Revokes a fragment: destroys the key under which it lies on the disk."""
        self._ask("DELETE", f"/rituals/{ritual:d}")

    def decryption_inputs(self, ritual: int, validator: str) -> DecryptionInputs:
        """The fragment with all that a share is made of, for an active ritual of this validator: the node's own address,
        exactly as it was stored."""
        answer = self._ask("POST", f"/rituals/{ritual:d}/decryption", {"validator": validator})
        active = _member(answer, "ritual", dict)
        return DecryptionInputs(
            fragment=_fragment(answer),
            dkg_size=_member(active, "dkgSize", int),
            threshold=_member(active, "threshold", int),
            aggregated_transcript=_bytes(active, "aggregatedTranscript"),
            public_key=_bytes(active, "publicKey"),
            validators=[(_member(one, "address", str), _bytes(one, "publicKey")) for one in _member(answer, "validators", list)],
            position=_member(answer, "position", int),
        )

    def _ask(self, method: str, path: str, body: Optional[object] = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        end = time.monotonic() + self.timeout_s
        sock = _connect(self.socket_path, end)
        return read_answer(*exchange(sock, "localhost", method, path, content, end, MAX_ANSWER_BYTES))


def _connect(path: str, end: float) -> socket.socket:
    while True:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(max(end - time.monotonic(), 0))
            sock.connect(path)
            return sock
        except BlockingIOError:
            # The queue of the socket is full: a Unix socket does not wait for that.
            sock.close()
            if time.monotonic() > end:
                raise TimeoutError("the agent takes no connection") from None
            time.sleep(RETRY_S)
        except BaseException:
            sock.close()
            raise


def _part(text: str) -> str:
    """One part of a path. @raises ValueError for what a path would lose."""
    if text in (".", "..", ""):
        raise ValueError("a name must not be empty, . or ..")
    return urllib.parse.quote(text, safe="")


def _record(namespace: str, name: str) -> str:
    return f"/kv/{_part(namespace)}/{_part(name)}"


def _member(value: Any, name: str, kind: type) -> Any:
    found = value.get(name) if isinstance(value, dict) else None
    # A boolean is an integer for Python, and is none in JSON.
    if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
        raise ProtocolError(f"{name} is missing, or of another type")
    return found


def _bytes(value: Any, name: str) -> bytes:
    return from_base64(_member(value, name, str), name)


def _fragment(answer: Any) -> Fragment:
    return Fragment(_member(answer, "timestamp", int), _bytes(answer, "fragment"))
