"""Client of Latchkey's key protocol, version 1 (docs/protocol.md).

One class, `Server`, for one key server, and the function `obtain` for the whole exchange with up to 16 of them. Keys are
`bytes`: Python cannot erase them, so keep them for as short a time as you can.
"""

import base64
import concurrent.futures
import contextlib
import hashlib
import hmac
import http.client
import io
import json
import math
import os
import re
import socket
import ssl
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as xchacha20_encrypt

MAX_ANSWER_BYTES = 1024 * 1024
# What may come besides the content of an answer: its head, interim answers, the lengths of chunks.
MAX_HEAD_BYTES = 256 * 1024
MAX_SERVERS = 16
MAX_RETRY_AFTER_S = 86_400
# How long challenges are awaited at most: those that came first live for 60 seconds.
CHALLENGE_S = 20.0
INTENTS = {"get-or-create": 0, "create": 1, "recover": 2}
NO_SLOT = bytes(16)
# Key id, sealed values and field names of the two answers, as the protocol lists them.
GRANT_FIELDS = {"key", "keyId", "created", "createdAtMs", "serverTimeMs", "finalized"}
GRANT_OPTIONAL = {"recoveryToken", "lineage", "extensions"}
STATE_FIELDS = {"instanceId", "serverTimeMs", "draining", "mac"}
STATE_OPTIONAL = {"lineage", "extensions"}
# Takes the place of a field that is not there; null is another thing.
ABSENT: Any = object()
LINEAGE_FIELDS = {"reserved", "reservedBoot", "incarnation", "bootId", "slots", "closed"}

QuoteProvider = Callable[[bytes], bytes]


class ProtocolError(Exception):
    """The answer is not what the protocol allows: another party made or changed it. Ask another server."""


class Refused(Exception):
    """The server refused. Errors are not authenticated: a hint, never a reason to give up a slot.

    `code` is stable: match on it. `detail`, `field` and `hint` are for people: at most 300 characters, without control
    characters. `retry_after_s` says how many seconds to wait, at most a day; None where the server does not say it.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        field: Optional[str] = None,
        hint: Optional[str] = None,
        retry_after_s: Optional[float] = None,
    ):
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.field = field
        self.hint = hint
        self.retry_after_s = retry_after_s


class Replaced(Exception):
    """A newer boot of this node has shown itself, or has reserved the number: this one must not write."""


# What one server can end with; a program that goes on with the others catches these.
FAILURES = (OSError, http.client.HTTPException, ProtocolError, Refused, Replaced)


def reason_of(error: BaseException) -> str:
    """One word for logs and for `latchkey conformance`."""
    names = {ProtocolError: "protocol", Refused: "refused", Replaced: "replaced"}
    return names.get(type(error), "unreachable")


def _left(end: float) -> float:
    """Seconds until `end`. @raises TimeoutError after it."""
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError("the exchange takes too long")
    return left


class _BoundedReader(io.RawIOBase):
    """What comes from a socket, until `end` and up to `most` bytes: content, head and interim answers together."""

    def __init__(self, sock: socket.socket, end: float, most: int):
        self._sock, self._end, self._most = sock, end, most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(_left(self._end))
        length = self._sock.recv_into(buffer)
        self._most -= length
        if self._most < 0:
            raise ProtocolError("the answer is too large")
        return length


class _BoundedSocket:
    """As much of a socket as http.client uses."""

    def __init__(self, sock: socket.socket, end: float, most: int):
        self._sock, self._end, self._most = sock, end, most

    def sendall(self, content: bytes) -> None:
        # The timeout of sendall bounds the whole of it.
        self._sock.settimeout(_left(self._end))
        # A server that refuses a request closes before it has read all of it: its answer is read next.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._sock.sendall(content)

    def makefile(self, _: str) -> io.BufferedReader:
        return io.BufferedReader(_BoundedReader(self._sock, self._end, self._most))

    def close(self) -> None:
        """`exchange` closes the socket, once the answer is read."""


def exchange(
    sock: socket.socket, host: str, method: str, path: str, content: Optional[bytes], end: float, most: int
) -> tuple:
    """One request and its answer over a connected socket, which is closed. Follows no redirect.

    @param end when all of it must be over, by `time.monotonic()`.
    @param most bytes of the content of the answer.
    @returns status, headers and content.
    @raises TimeoutError, ProtocolError; other OSError and HTTPException when the connection fails.
    """
    with sock:
        connection = http.client.HTTPConnection(host)
        connection.sock = _BoundedSocket(sock, end, most + MAX_HEAD_BYTES)
        try:
            connection.request(method, path, content, {"content-type": "application/json"})
            answer = connection.getresponse()
            text = answer.read(most + 1)
        except ValueError:
            # Of http.client, for lengths that are none.
            raise ProtocolError("the answer is not HTTP") from None
    if len(text) > most:
        raise ProtocolError("the answer is too large")
    return answer.status, answer.headers, text


def _connect(url: urllib.parse.SplitResult, end: float) -> socket.socket:
    """Connects to the host of an address. Only the resolution of a name is not bounded by `end`."""
    failure: OSError = OSError("the name has no address")
    default = {"http": 80, "https": 443}[url.scheme]
    for family, kind, proto, _, address in socket.getaddrinfo(url.hostname, url.port or default, 0, socket.SOCK_STREAM):
        sock = socket.socket(family, kind, proto)
        try:
            sock.settimeout(_left(end))
            sock.connect(address)
            if url.scheme == "https":
                sock = ssl.create_default_context().wrap_socket(sock, server_hostname=url.hostname)
            return sock
        except OSError as error:
            sock.close()
            failure = error
    raise failure


def read_answer(status: int, headers: Mapping[str, str], text: bytes) -> Any:
    """The JSON of a good answer. @raises Refused, ProtocolError."""
    if status != 200:
        raise _refusal(status, headers, text)
    return parse_json(text, "answer")


def parse_json(text: bytes, what: str) -> Any:
    """@raises ProtocolError for all that Python cannot read, also because it is too deep."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError(f"the {what} is no JSON") from None


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def hmac_sha256(key: bytes, *parts: bytes) -> bytes:
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def hkdf_expand(prk: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869."""
    okm, block, counter = b"", b"", 1
    while len(okm) < length:
        block = hmac_sha256(prk, block, info, bytes([counter]))
        okm, counter = okm + block, counter + 1
    return okm[:length]


def derive(key: bytes, info: bytes) -> bytes:
    """HKDF-SHA-256 with the empty salt, 32 bytes."""
    return hkdf_expand(hmac_sha256(bytes(32), key), info, 32)


def u16(value: int) -> bytes:
    return value.to_bytes(2, "big")


def u64(value: int) -> bytes:
    return value.to_bytes(8, "big")


def to_hex(value: bytes) -> str:
    return "0x" + value.hex()


def from_hex(text: Any, length: int, field: str) -> bytes:
    """`0x` and exactly this many bytes; nothing else."""
    if not isinstance(text, str) or not re.fullmatch(r"0x[0-9a-fA-F]*", text) or len(text) != 2 + 2 * length:
        raise ProtocolError(f"{field} must be {length} bytes of 0x hex")
    return bytes.fromhex(text[2:])


def from_base64(text: Any, field: str) -> bytes:
    """Canonical base64: what does not encode to the same text is refused."""
    try:
        value = base64.b64decode(text, validate=True)
    except (ValueError, TypeError):
        raise ProtocolError(f"{field} must be base64") from None
    if base64.b64encode(value).decode() != text:
        raise ProtocolError(f"{field} must be canonical base64")
    return value


_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def account_bytes(text: Any) -> bytes:
    """An account: SS58 with prefix 42, or `0x` hex."""
    if isinstance(text, str) and text.startswith("0x"):
        return from_hex(text, 32, "account")
    number = 0
    for character in text if isinstance(text, str) and 0 < len(text) < 64 else "?":
        digit = _BASE58.find(character)
        if digit < 0:
            raise ProtocolError("account is neither SS58 nor hex")
        number = number * 58 + digit
    if number >= 1 << (8 * 35):
        raise ProtocolError("account is too long")
    raw = number.to_bytes(35, "big")
    checksum = hashlib.blake2b(b"SS58PRE" + raw[:33], digest_size=64).digest()[:2]
    if raw[0] != 42 or raw[33:] != checksum:
        raise ProtocolError("account must be SS58 with prefix 42 and a right checksum")
    return raw[1:33]


def fields_of(value: Any, required: set, optional: set, what: str) -> Mapping[str, Any]:
    """Unknown fields are refused, and so are missing ones."""
    if not isinstance(value, dict):
        raise ProtocolError(f"{what} must be an object")
    missing, unknown = required - value.keys(), value.keys() - required - optional
    if missing or unknown:
        # Names that another party chose are not repeated.
        raise ProtocolError(f"{what}: missing {sorted(missing)}, {len(unknown)} unknown")
    return value


def integer(value: Any, field: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 2**53 - 1:
        raise ProtocolError(f"{field} must be a whole number up to 2^53 - 1")
    return value


def boolean(value: Any, field: str) -> bool:
    if not isinstance(value, bool):
        raise ProtocolError(f"{field} must be true or false")
    return value


# HPKE (RFC 9180), mode_auth, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305, single shot.
_KEM_SUITE = b"KEM" + u16(0x0020)
_HPKE_SUITE = b"HPKE" + u16(0x0020) + u16(0x0001) + u16(0x0003)
_MODE_AUTH = 2


def _labeled_extract(suite: bytes, salt: bytes, label: bytes, ikm: bytes) -> bytes:
    return hmac_sha256(salt or bytes(32), b"HPKE-v1", suite, label, ikm)


def _labeled_expand(suite: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
    return hkdf_expand(prk, u16(length) + b"HPKE-v1" + suite + label + info, length)


def open_auth(
    recipient: X25519PrivateKey, sender_public: bytes, enc: bytes, info: bytes, aad: bytes, ciphertext: bytes
) -> bytes:
    """@raises ProtocolError when it does not open."""
    try:
        dh = recipient.exchange(X25519PublicKey.from_public_bytes(enc)) + recipient.exchange(
            X25519PublicKey.from_public_bytes(sender_public)
        )
    except ValueError:
        raise ProtocolError("a key of small order") from None
    context = enc + recipient.public_key().public_bytes_raw() + sender_public
    eae = _labeled_extract(_KEM_SUITE, b"", b"eae_prk", dh)
    shared = _labeled_expand(_KEM_SUITE, eae, b"shared_secret", context, 32)
    psk_id_hash = _labeled_extract(_HPKE_SUITE, b"", b"psk_id_hash", b"")
    info_hash = _labeled_extract(_HPKE_SUITE, b"", b"info_hash", info)
    schedule = bytes([_MODE_AUTH]) + psk_id_hash + info_hash
    secret = _labeled_extract(_HPKE_SUITE, shared, b"secret", b"")
    key = _labeled_expand(_HPKE_SUITE, secret, b"key", schedule, 32)
    nonce = _labeled_expand(_HPKE_SUITE, secret, b"base_nonce", schedule, 12)
    try:
        return ChaCha20Poly1305(key).decrypt(nonce, ciphertext, aad)
    except InvalidTag:
        raise ProtocolError("the answer does not open: the server is an impostor") from None


def request_report_data(
    account: bytes, ephemeral_public: bytes, intent: str, servers: Sequence[tuple]
) -> bytes:
    """64 bytes for the quote. `servers`: (account, nonce, slot id), in any order."""
    ascending = sorted(servers, key=lambda entry: entry[0])
    if not 1 <= len(ascending) <= 16 or len({entry[0] for entry in ascending}) != len(ascending):
        raise ValueError("1 to 16 servers, each once")
    head = b"latchkey/v1/request" + account + ephemeral_public + bytes([INTENTS[intent]]) + u16(len(ascending))
    return hashlib.sha512(head + b"".join(b"".join(entry) for entry in ascending)).digest()


@dataclass(frozen=True)
class Grant:
    """What a server releases. `repr` does not show it."""

    key: bytes
    recovery_token: Optional[bytes]
    key_id: bytes
    created: bool
    server_time_ms: int
    lineage: Optional[Mapping[str, Any]]

    def __repr__(self) -> str:
        return f"Grant(key_id={self.key_id.hex()}, created={self.created})"


def read_grant(plaintext: bytes) -> Grant:
    parsed = parse_json(plaintext, "sealed text")
    fields = fields_of(parsed, GRANT_FIELDS, GRANT_OPTIONAL, "sealed key")
    integer(fields["createdAtMs"], "createdAtMs")
    block = fields_of(fields["finalized"], {"number", "hash"}, set(), "finalized")
    integer(block["number"], "number")
    from_hex(block["hash"], 32, "hash")
    lineage_bytes(fields.get("lineage", ABSENT))
    extension_bytes(fields.get("extensions", ABSENT))
    token = fields.get("recoveryToken", ABSENT)
    return Grant(
        key=from_hex(fields["key"], 32, "key"),
        recovery_token=None if token is ABSENT else from_hex(token, 32, "recoveryToken"),
        key_id=from_hex(fields["keyId"], 16, "keyId"),
        created=boolean(fields["created"], "created"),
        server_time_ms=integer(fields["serverTimeMs"], "serverTimeMs"),
        lineage=fields.get("lineage"),
    )


def _boot_bytes(fields: Mapping[str, Any]) -> bytes:
    return u64(integer(fields["incarnation"], "incarnation")) + from_hex(fields["bootId"], 16, "bootId")


def lineage_bytes(lineage: Any) -> bytes:
    """Canonical bytes of `lineage` of an answer; `ABSENT` where it has none."""
    if lineage is ABSENT:
        return b"\0"
    fields = fields_of(lineage, LINEAGE_FIELDS, {"head"}, "lineage")
    reserved_boot = from_hex(fields["reservedBoot"], 16, "reservedBoot")
    head = b"\0"
    if "head" in fields:
        told = fields_of(fields["head"], {"incarnation", "bootId", "sequence", "digest"}, set(), "head")
        sequence = u64(integer(told["sequence"], "sequence"))
        head = b"\1" + _boot_bytes(told) + sequence + from_hex(told["digest"], 32, "digest")
    if not isinstance(fields["slots"], list) or len(fields["slots"]) > 32:
        raise ProtocolError("slots must be a list of at most 32")
    slots = [from_hex(slot, 16, "slots") for slot in fields["slots"]]
    return b"".join(
        [
            b"\1",
            u64(integer(fields["reserved"], "reserved")),
            reserved_boot,
            _boot_bytes(fields),
            head,
            bytes([len(slots)]),
            *slots,
            bytes([boolean(fields["closed"], "closed")]),
        ]
    )


def extension_bytes(extensions: Any) -> bytes:
    """Canonical bytes of `extensions`; names that are not known are covered and otherwise ignored."""
    if extensions is ABSENT:
        return u16(0)
    if not isinstance(extensions, dict) or not 1 <= len(extensions) <= 8:
        raise ProtocolError("extensions must be an object of 1 to 8 names")
    result = u16(len(extensions))
    for name in sorted(extensions):
        value = from_base64(extensions[name], f"extensions.{name}")
        if not re.fullmatch(r"[a-z][A-Za-z0-9]{0,31}", name) or not 1 <= len(value) <= 4096:
            raise ProtocolError("an extension has a bad name or length")
        result += bytes([len(name)]) + name.encode() + u16(len(value)) + value
    return result


def lineage_key_of(lineage_secret: bytes, server: bytes) -> bytes:
    """What one server knows of the client's store."""
    return derive(lineage_secret, b"latchkey/v1/lineage" + server)


def lineage_id_of(lineage_key: bytes) -> bytes:
    """Names the lineage at the server that has this key."""
    return sha256(b"latchkey/v1/lineage-id", lineage_key)[:16]


def reserved_boot(lineage_secret: bytes, number: int, boot: bytes) -> bytes:
    """The 16 bytes of a reservation; `boot` are the 8 random bytes of this boot."""
    key = derive(lineage_secret, b"latchkey/v1/mark/reservation")
    return boot + hmac_sha256(key, u64(number), boot)[:8]


def marked_head(lineage_secret: bytes, number: int, boot_id: bytes, sequence: int, log_digest: bytes) -> bytes:
    """The digest to deposit: the first 16 bytes of the log's own digest, and their mark."""
    part = log_digest[:16]
    key = derive(lineage_secret, b"latchkey/v1/mark/head")
    return part + hmac_sha256(key, u64(number), boot_id, u64(sequence), part)[:16]


def marked_boot(lineage_secret: bytes, number: int, boot: bytes) -> bytes:
    """The boot id that no server can invent: `boot` are 8 random bytes of this boot."""
    key = derive(lineage_secret, b"latchkey/v1/mark/incarnation")
    return boot + hmac_sha256(key, u64(number), boot)[:8]


class Server:
    """One key server. Account and X25519 key are those of its record on the chain, never what an answer says."""

    def __init__(self, url: str, account: bytes, x25519_public_key: bytes, timeout_s: float = 20.0):
        self.url = url.rstrip("/")
        self.account = account
        self.x25519_public_key = x25519_public_key
        self.timeout_s = timeout_s

    def post(self, path: str, body: Mapping[str, Any], most_s: float = math.inf) -> Any:
        """@param most_s bounds the answer besides `timeout_s`.
        @raises Refused, ProtocolError; OSError and HTTPException when the server cannot be reached."""
        end = time.monotonic() + min(self.timeout_s, most_s)
        try:
            url = urllib.parse.urlsplit(self.url)
            if url.scheme not in ("http", "https") or not url.hostname:
                raise ValueError
            sock = _connect(url, end)
        except ValueError:
            raise ProtocolError("the address is none of http") from None
        content = json.dumps(body).encode()
        return read_answer(*exchange(sock, url.netloc, "POST", url.path + path, content, end, MAX_ANSWER_BYTES))

    def challenge(self, account: bytes, ephemeral_public: bytes) -> bytes:
        body = {"accountId": to_hex(account), "ephemeralPublicKey": to_hex(ephemeral_public)}
        names = {"server", "nonce", "expiresAtMs", "instanceId"}
        answer = fields_of(self.post("/challenge", body, CHALLENGE_S), names, set(), "challenge")
        if account_bytes(answer["server"]) != self.account:
            raise ProtocolError("the address belongs to another server")
        return from_hex(answer["nonce"], 32, "nonce")

    def open_answer(
        self, answer: Any, recipient: X25519PrivateKey, account: bytes, report_data: bytes
    ) -> Grant:
        """Opens the answer of `/request-encryption-key`. @raises ProtocolError."""
        fields = fields_of(answer, {"server", "instanceId", "enc", "ciphertext"}, set(), "answer")
        if account_bytes(fields["server"]) != self.account:
            raise ProtocolError("the answer names another server")
        plaintext = open_auth(
            recipient,
            self.x25519_public_key,
            from_hex(fields["enc"], 32, "enc"),
            b"latchkey/v1/key" + self.account + account,
            report_data + from_hex(fields["instanceId"], 16, "instanceId"),
            from_base64(fields["ciphertext"], "ciphertext"),
        )
        return read_grant(plaintext)

    def mac_request(
        self, route: str, account: bytes, name: bytes, key: bytes, content: bytes, fields: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """A request of a route with a MAC; @returns its answer once its MAC is right. @raises ProtocolError, Refused."""
        timestamp, random = int(time.time() * 1000), os.urandom(16)
        is_lineage = route.startswith("lineage-")
        envelope = self.account + account + name + u64(timestamp) + random
        mac = hmac_sha256(derive(key, f"latchkey/v1/{route}/request".encode()), envelope, content)
        body = {
            "accountId": to_hex(account),
            "lineageId" if is_lineage else "slotId": to_hex(name),
            "timestampMs": timestamp,
            "random": to_hex(random),
            **fields,
            "mac": to_hex(mac),
        }
        answer = self.post("/" + route, body)
        check_answer_mac(route, key, mac, answer)
        return answer

    def link_and_confirm(
        self, account: bytes, slot_id: bytes, key: bytes, lineage_secret: bytes, number: int, boot_id: bytes
    ) -> Mapping[str, Any]:
        """`/key-status`: links the slot to the lineage and confirms it; without it the key is dropped in an hour."""
        label = b"latchkey/v1/lineage/link"
        nonce = os.urandom(24)
        data = label + self.account + account + slot_id
        lineage_key = lineage_key_of(lineage_secret, self.account)
        sealed = nonce + xchacha20_encrypt(lineage_key, data, nonce, derive(key, label))
        content = b"\1" + b"\1" + sealed + u64(number) + boot_id + b"\0" + bytes(4)
        fields = {"confirm": True, "lineage": to_hex(sealed), "incarnation": number, "bootId": to_hex(boot_id)}
        answer = self.mac_request("key-status", account, slot_id, key, content, fields)
        if to_hex(slot_id) not in _lower(_lineage_of(answer)["slots"]):
            raise ProtocolError("the server did not link the slot")
        return answer

    def reserve(
        self, account: bytes, slot_id: bytes, key: bytes, number: int, boot: bytes
    ) -> Mapping[str, Any]:
        """`/reserve`: reserves a number for this boot (`reserved_boot`). @raises Replaced when another boot has it."""
        fields = {"incarnation": number, "boot": to_hex(boot)}
        answer = self.mac_request("reserve", account, slot_id, key, u64(number) + boot, fields)
        if not has_reserved(_lineage_of(answer), number, boot):
            raise Replaced("another boot has reserved this number")
        return answer

    def claim(
        self, account: bytes, slot_id: bytes, key: bytes, number: int, boot_id: bytes
    ) -> Mapping[str, Any]:
        """`/claim`: shows this boot. @raises Replaced when a newer one is shown: then stop writing."""
        fields = {"incarnation": number, "bootId": to_hex(boot_id)}
        answer = self.mac_request("claim", account, slot_id, key, u64(number) + boot_id, fields)
        if not shows(_lineage_of(answer), number, boot_id):
            raise Replaced("another boot has shown itself")
        return answer

    def forget(
        self, account: bytes, slot_id: bytes, key: bytes, number: int, boot_id: bytes
    ) -> Mapping[str, Any]:
        """`/forget`: erases the key. `erased` false: the server kept it, because a newer boot needs it."""
        fields = {"incarnation": number, "bootId": to_hex(boot_id)}
        return self.mac_request("forget", account, slot_id, key, u64(number) + boot_id, fields)

    def lineage_status(self, account: bytes, lineage_secret: bytes) -> Mapping[str, Any]:
        """`/lineage-status`: what the server knows of the store, also when no slot is left; changes nothing."""
        key = lineage_key_of(lineage_secret, self.account)
        return self.mac_request("lineage-status", account, lineage_id_of(key), key, b"", {})

    def lineage_update(
        self,
        account: bytes,
        lineage_secret: bytes,
        number: int,
        boot_id: bytes,
        head: Optional[tuple] = None,
        forget: Sequence[bytes] = (),
        close: Optional[tuple] = None,
    ) -> Mapping[str, Any]:
        """`/lineage-update`: shows this boot, deposits a head, erases slots, or ends the lineage.

        @param head sequence and digest (`marked_head`).
        @param close number, boot id, sequence and digest of the last incarnation.
        """
        key = lineage_key_of(lineage_secret, self.account)
        content, fields = update_content(number, boot_id, head, forget, close)
        return self.mac_request("lineage-update", account, lineage_id_of(key), key, content, fields)


def has_reserved(lineage: Mapping[str, Any], number: int, boot: bytes) -> bool:
    """Whether this boot has the number that it wished for."""
    told = (lineage["reserved"], lineage["reservedBoot"][:18].lower())
    return not lineage["closed"] and told == (number, to_hex(boot)[:18])


def shows(lineage: Mapping[str, Any], number: int, boot_id: bytes) -> bool:
    """Whether this boot is shown as the newest one."""
    told = (lineage["incarnation"], lineage["bootId"].lower())
    return not lineage["closed"] and told == (number, to_hex(boot_id))


def update_content(
    number: int, boot_id: bytes, head: Optional[tuple], forget: Sequence[bytes], close: Optional[tuple]
) -> tuple:
    """Canonical bytes of a `lineage-update`, and its fields."""
    fields: dict = {"incarnation": number, "bootId": to_hex(boot_id), "forget": [to_hex(slot) for slot in forget]}
    if head is not None:
        fields["head"] = {"sequence": head[0], "digest": to_hex(head[1])}
    end = b"\0"
    if close is not None:
        last, last_boot, sequence, digest = close
        end = b"\1" + u64(last) + last_boot + _deposit((sequence, digest))
        head_field = {"sequence": sequence, "digest": to_hex(digest)}
        fields["close"] = {"incarnation": last, "bootId": to_hex(last_boot), "head": head_field}
    slots = bytes([len(forget)]) + b"".join(forget)
    return u64(number) + boot_id + _deposit(head) + slots + end, fields


def _deposit(head: Optional[tuple]) -> bytes:
    return b"\0" if head is None else b"\1" + u64(head[0]) + head[1]


def _lineage_of(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an answer whose MAC was right shows of the lineage."""
    if answer.get("lineage") is None:
        raise ProtocolError("the answer shows no lineage")
    return answer["lineage"]


def _lower(texts: Sequence[str]) -> list:
    return [text.lower() for text in texts]


def check_answer_mac(route: str, key: bytes, request_mac: bytes, answer: Any) -> None:
    """@raises ProtocolError unless the server holds the key and said exactly this."""
    required = STATE_FIELDS | ({"erased"} if route == "forget" else set())
    fields = fields_of(answer, required, STATE_OPTIONAL, "answer")
    erased = bytes([boolean(fields["erased"], "erased")]) if route == "forget" else b""
    state = b"".join(
        [
            erased,
            from_hex(fields["instanceId"], 16, "instanceId"),
            u64(integer(fields["serverTimeMs"], "serverTimeMs")),
            bytes([boolean(fields["draining"], "draining")]),
            lineage_bytes(fields.get("lineage", ABSENT)),
            extension_bytes(fields.get("extensions", ABSENT)),
        ]
    )
    expected = hmac_sha256(derive(key, f"latchkey/v1/{route}/response".encode()), request_mac, state)
    if not hmac.compare_digest(expected, from_hex(fields["mac"], 32, "mac")):
        raise ProtocolError("the MAC of the answer is wrong")


def _refusal(status: int, headers: Mapping[str, str], text: bytes) -> Exception:
    problem = parse_json(text, f"answer with status {status}")
    code = problem.get("code") if isinstance(problem, dict) else None
    if not isinstance(code, str) or not re.fullmatch(r"[A-Za-z0-9_]{1,64}", code):
        return ProtocolError(f"status {status} without a problem document")
    detail, field, hint = (_shown(problem.get(name)) for name in ("detail", "field", "hint"))
    retry_after_s = _retry_after_s(problem.get("retryAfterMs"), headers.get("retry-after"))
    return Refused(status, code, detail or "", field, hint, retry_after_s)


def _shown(text: Any) -> Optional[str]:
    """Text of another party, fit for a log."""
    if not isinstance(text, str):
        return None
    return "".join(letter if letter.isprintable() else " " for letter in text[:300])


def _retry_after_s(milliseconds: Any, header: Optional[str]) -> Optional[float]:
    """By the problem document, or else by `Retry-After` in seconds; a date there is not read."""
    if isinstance(milliseconds, int) and not isinstance(milliseconds, bool) and milliseconds >= 0:
        return min(milliseconds, MAX_RETRY_AFTER_S * 1000) / 1000
    if header is not None and re.fullmatch(r"[0-9]{1,100}", header):
        return min(int(header), MAX_RETRY_AFTER_S)
    return None


@dataclass(frozen=True)
class Wish:
    """What is wanted of one server."""

    server: Server
    slot_id: bytes = NO_SLOT
    recovery_token: Optional[bytes] = None


def _at_once(calls: Sequence[Callable[[], Any]], most_s: float) -> Sequence[Any]:
    """What each call returns, or the failure of its server. A call that is not done in time is given up."""
    pool = concurrent.futures.ThreadPoolExecutor(max_workers=len(calls))
    futures = [pool.submit(call) for call in calls]
    done, _ = concurrent.futures.wait(futures, timeout=most_s)
    pool.shutdown(wait=False, cancel_futures=True)
    return [_outcome(future) if future in done else TimeoutError("no answer in time") for future in futures]


def _outcome(future: concurrent.futures.Future) -> Any:
    try:
        return future.result()
    except FAILURES as error:
        return error


def obtain(account: bytes, intent: str, wishes: Sequence[Wish], quote: QuoteProvider) -> Sequence[Any]:
    """The whole exchange: challenges of all servers at once, one quote, one request each at once. No server stops another:
    challenges are awaited for at most 20 seconds, and a server without a challenge is left out of the quote.

    @param wishes 1 to 16, of different servers.
    @param quote makes a TDX quote with these 64 bytes of report data.
    @returns for each wish a Grant, or the exception that this server ended with.
    """
    if not 1 <= len(wishes) <= MAX_SERVERS or len({wish.server.account for wish in wishes}) != len(wishes):
        raise ValueError("1 to 16 servers, each once")
    ephemeral = X25519PrivateKey.generate()
    public = ephemeral.public_key().public_bytes_raw()
    patience_s = max(wish.server.timeout_s for wish in wishes)
    asks = [lambda wish=wish: wish.server.challenge(account, public) for wish in wishes]
    nonces = _at_once(asks, min(patience_s, CHALLENGE_S))
    results = list(nonces)
    challenged = [(index, wish) for index, wish in enumerate(wishes) if isinstance(nonces[index], bytes)]
    if not challenged:
        return results
    entries = [(wish.server.account, nonces[index], wish.slot_id) for index, wish in challenged]
    report_data = request_report_data(account, public, intent, entries)
    body = {
        "accountId": to_hex(account),
        "ephemeralPublicKey": to_hex(public),
        "intent": intent,
        "servers": [{"server": to_hex(a), "nonce": to_hex(n), "slotId": to_hex(s)} for a, n, s in entries],
        "quote": base64.b64encode(quote(report_data)).decode(),
    }

    def ask(wish: Wish) -> Grant:
        token = wish.recovery_token
        proof = {} if token is None else {"recoveryProof": to_hex(hmac_sha256(token, report_data))}
        answer = wish.server.post("/request-encryption-key", {**body, **proof})
        grant = wish.server.open_answer(answer, ephemeral, account, report_data)
        if intent == "create" and (grant.recovery_token is None or not (grant.created or token)):
            raise ProtocolError("a created key is not fresh, or came without its recovery token")
        return grant

    grants = _at_once([lambda wish=wish: ask(wish) for _, wish in challenged], patience_s)
    for (index, _), grant in zip(challenged, grants):
        results[index] = grant
    return results


def mock_tdx(url: str) -> QuoteProvider:
    """Quotes of mock-tdx, for development. In a TD read /sys/kernel/config/tsm/report instead."""

    def quote(report_data: bytes) -> bytes:
        headers = {"content-type": "application/json"}
        body = json.dumps({"reportData": to_hex(report_data)}).encode()
        request = urllib.request.Request(url.rstrip("/") + "/quote", body, headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return base64.b64decode(json.load(answer)["quote"])

    return quote
