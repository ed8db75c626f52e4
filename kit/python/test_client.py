"""Tests on the shared vectors, and against a running development node where LATCHKEY_NETWORK names its `ready` line."""

import contextlib
import http.client
import http.server
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time
import unittest
from unittest import mock

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

import latchkey_client as lk

VECTORS = pathlib.Path(os.environ.get("LATCHKEY_KIT_VECTORS", pathlib.Path(__file__).parent.parent / "vectors"))


def read(name: str):
    return json.loads((VECTORS / name).read_text())


def raw(text: str) -> bytes:
    return bytes.fromhex(text[2:])


class Vectors(unittest.TestCase):
    def setUp(self):
        self.request = read("request.json")
        self.keys = self.request["keys"]
        self.server = lk.Server("http://unused", raw(self.keys["serverAccount"]), raw(self.keys["serverX25519PublicKey"]))

    def test_report_data(self):
        body = self.request["request"]["body"]
        entries = [
            (lk.account_bytes(entry["server"]), raw(entry["nonce"]), raw(entry["slotId"])) for entry in body["servers"]
        ]
        account, public = lk.account_bytes(body["accountId"]), raw(body["ephemeralPublicKey"])
        report_data = lk.request_report_data(account, public, body["intent"], entries)
        self.assertEqual(lk.to_hex(report_data), self.request["request"]["reportData"])
        proof = lk.hmac_sha256(raw(self.keys["recoveryToken"]), report_data)
        self.assertEqual(lk.to_hex(proof), body["recoveryProof"])
        nonce = raw(self.request["challenge"]["answer"]["nonce"])
        plain = lk.request_report_data(account, public, "get-or-create", [(self.server.account, nonce, lk.NO_SLOT)])
        self.assertEqual(lk.to_hex(plain), self.request["plainRequest"]["reportData"])

    def open(self, body):
        recipient = X25519PrivateKey.from_private_bytes(raw(self.keys["ephemeralSecret"]))
        report_data = raw(self.request["request"]["reportData"])
        return self.server.open_answer(body, recipient, raw(self.keys["clientAccount"]), report_data)

    def test_answer(self):
        answer = read("answer.json")
        grant = self.open(answer["body"])
        self.assertEqual(lk.to_hex(grant.key), self.keys["serverKey"])
        self.assertEqual(lk.to_hex(grant.recovery_token), self.keys["recoveryToken"])
        self.assertNotIn(grant.key.hex(), repr(grant))
        for refused in answer["refused"]:
            with self.subTest(refused["change"]), self.assertRaises(lk.ProtocolError):
                self.open(refused["body"])

    def test_null_is_not_absent(self):
        good = json.loads(read("answer.json")["plaintext"])
        lk.read_grant(json.dumps(good).encode())
        block = {"number": 1, "hash": lk.to_hex(bytes(32))}
        changes = [{name: None} for name in ("recoveryToken", "lineage", "extensions")]
        changes += [{"finalized": one} for one in (None, {}, 1, {"number": 1}, {**block, "note": 1})]
        changes += [{"finalized": {**block, **one}} for one in ({"number": -1}, {"number": None}, {"hash": "0x00"})]
        for change in changes:
            with self.subTest(change), self.assertRaises(lk.ProtocolError):
                lk.read_grant(json.dumps({**good, **change}).encode())
        for exchange in read("mac-routes.json")["exchanges"]:
            answer, mac = exchange["answer"]["body"], raw(exchange["request"]["body"]["mac"])
            key = raw(read("lineage.json")["key"] if exchange["route"].startswith("lineage-") else self.keys["serverKey"])
            absent = [name for name in ("lineage", "extensions") if name not in answer]
            changed = [{**answer, name: None} for name in absent]
            if "lineage" in answer and "head" not in answer["lineage"]:
                changed.append({**answer, "lineage": {**answer["lineage"], "head": None}})
            for body in changed:
                with self.subTest(exchange["name"]), self.assertRaises(lk.ProtocolError):
                    lk.check_answer_mac(exchange["route"], key, mac, body)

    def test_lineage(self):
        lineage = read("lineage.json")
        self.assertEqual(lk.to_hex(lk.lineage_key_of(raw(lineage["secret"]), self.server.account)), lineage["key"])
        mark = lineage["incarnationMark"]
        secret, random = raw(lineage["secret"]), raw(mark["bootId"])[:8]
        boot = lk.marked_boot(secret, mark["incarnation"], random)
        self.assertEqual(lk.to_hex(boot), mark["bootId"])
        reserved = lk.reserved_boot(secret, mark["incarnation"], random)
        self.assertEqual(lk.to_hex(reserved), lineage["reservationMark"]["boot"])
        self.assertEqual(lk.to_hex(lk.lineage_id_of(raw(lineage["key"]))), lineage["id"])
        head = lk.marked_head(secret, mark["incarnation"], boot, 42, raw(lineage["headMark"]["logDigest"]))
        self.assertEqual(lk.to_hex(head), lineage["headMark"]["digest"])

    def test_verdicts(self):
        verdicts = read("verdicts.json")["verdicts"]
        for verdict in verdicts:
            with self.subTest(route=verdict["route"], about=verdict["about"]):
                lk.lineage_bytes(verdict["lineage"])
                asked = raw(verdict["boot" if verdict["route"] == "reserve" else "bootId"])
                judge = lk.has_reserved if verdict["route"] == "reserve" else lk.shows
                self.assertEqual(judge(verdict["lineage"], verdict["incarnation"], asked), verdict["holds"])
        self.assertGreaterEqual(len(verdicts), 13)

    def test_update_content(self):
        updates = [one for one in read("mac-routes.json")["exchanges"] if one["route"] == "lineage-update"]
        for exchange in updates:
            body = exchange["request"]["body"]

            def head(value):
                return None if value is None else (value["sequence"], raw(value["digest"]))

            end = body.get("close")
            close = None if end is None else (end["incarnation"], raw(end["bootId"]), *head(end["head"]))
            forget = [raw(slot) for slot in body["forget"]]
            boot_id = raw(body["bootId"])
            content, fields = lk.update_content(body["incarnation"], boot_id, head(body.get("head")), forget, close)
            with self.subTest(exchange["name"]):
                self.assertTrue(exchange["request"]["macInput"].endswith(content.hex()))
                self.assertEqual(fields, {name: body[name] for name in fields})
        self.assertGreaterEqual(len(updates), 2)

    def test_mac_routes(self):
        lineage_key = raw(read("lineage.json")["key"])
        for exchange in read("mac-routes.json")["exchanges"]:
            route, answer = exchange["route"], exchange["answer"]["body"]
            key = lineage_key if route.startswith("lineage-") else raw(self.keys["serverKey"])
            mac = raw(exchange["request"]["body"]["mac"])
            with self.subTest(exchange["name"]):
                made = lk.hmac_sha256(
                    lk.derive(key, f"latchkey/v1/{route}/request".encode()), raw(exchange["request"]["macInput"])
                )
                self.assertEqual(made, mac)
                lk.check_answer_mac(route, key, mac, answer)
                for changed in ({"draining": not answer["draining"]}, {"serverTimeMs": 1}, {"note": 1}, {"extensions": {}}):
                    with self.assertRaises(lk.ProtocolError):
                        lk.check_answer_mac(route, key, mac, {**answer, **changed})


@contextlib.contextmanager
def serving(answer):
    """A server on 127.0.0.1 whose answers `answer` writes; its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            with contextlib.suppress(OSError):
                answer(self)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def say(handler, status: int, body: object) -> None:
    """Reads the request and answers with JSON."""
    handler.rfile.read(int(handler.headers["content-length"]))
    text = json.dumps(body).encode()
    handler.send_response(status)
    handler.send_header("content-length", str(len(text)))
    handler.end_headers()
    handler.wfile.write(text)


@contextlib.contextmanager
def serving_raw(text: bytes):
    """A server on 127.0.0.1 that answers with these bytes; its address."""

    def answer(handler):
        handler.rfile.read(int(handler.headers["content-length"]))
        handler.wfile.write(text)
        handler.close_connection = True

    with serving(answer) as url:
        yield url


def refusing(account: bytes, all_there=lambda path: None):
    """A server that gives challenges and refuses each key. `all_there` is called before each answer."""

    def answer(handler):
        all_there(handler.path)
        names = {"server": lk.to_hex(account), "nonce": lk.to_hex(bytes(32)), "instanceId": lk.to_hex(bytes(16))}
        if handler.path == "/challenge":
            say(handler, 200, {**names, "expiresAtMs": 1})
        else:
            say(handler, 403, {"code": "MEASUREMENT_REFUSED", "detail": "refused"})

    return answer


@contextlib.contextmanager
def silence():
    """The address of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


class Together(unittest.TestCase):
    """Seven servers are asked at once, and none of them stops another."""

    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)

    def wish(self, url: str, account: bytes, timeout_s: float = 20.0):
        return lk.Wish(lk.Server(url, account, bytes(32), timeout_s), os.urandom(16))

    def ends(self, wishes):
        results = lk.obtain(os.urandom(32), "create", wishes, lambda report_data: b"quote")
        return [getattr(result, "code", type(result).__name__) for result in results]

    def test_all_are_asked_at_once(self):
        # Nobody is answered before all have asked: a client that asks one after the other never gets an answer.
        barriers = {path: threading.Barrier(7) for path in ("/challenge", "/request-encryption-key")}
        self.addCleanup(lambda: [barrier.abort() for barrier in barriers.values()])
        wishes = []
        for number in range(7):
            account = bytes([number]) * 32
            answer = refusing(account, lambda path: barriers[path].wait())
            wishes.append(self.wish(self.stack.enter_context(serving(answer)), account))
        self.assertEqual(self.ends(wishes), ["MEASUREMENT_REFUSED"] * 7)

    def test_silent_servers_stop_nobody(self):
        wishes = []
        for number in range(7):
            account = bytes([number]) * 32
            server = silence() if number in (3, 4, 5) else serving(refusing(account))
            wishes.append(self.wish(self.stack.enter_context(server), account, 0.5))
        silent = ["TimeoutError"] * 3
        self.assertEqual(self.ends(wishes), ["MEASUREMENT_REFUSED"] * 3 + silent + ["MEASUREMENT_REFUSED"])

    def test_challenges_do_not_expire_while_others_are_awaited(self):
        wishes = [
            self.wish(self.stack.enter_context(silence()), bytes(32), 600.0),
            self.wish(self.stack.enter_context(serving(refusing(b"1" * 32))), b"1" * 32, 600.0),
        ]
        with mock.patch.object(lk, "CHALLENGE_S", 0.5):
            self.assertEqual(self.ends(wishes), ["TimeoutError", "MEASUREMENT_REFUSED"])

    def test_a_server_is_asked_once(self):
        wishes = [self.wish("http://127.0.0.1:1", bytes(32))] * 2
        for wrong in (wishes, [], [self.wish("http://127.0.0.1:1", os.urandom(32)) for _ in range(17)]):
            with self.assertRaises(ValueError):
                self.ends(wrong)


class Hostile(unittest.TestCase):
    def test_slow_answers_end(self):
        for status in (200, 503):

            def drip(handler):
                handler.send_response(status)
                handler.end_headers()
                for _ in range(200):
                    handler.wfile.write(b" ")
                    handler.wfile.flush()
                    time.sleep(0.1)
                handler.wfile.write(b"{}")

            with self.subTest(status), serving(drip) as url, self.assertRaises(TimeoutError):
                lk.Server(url, bytes(32), bytes(32), timeout_s=0.5).post("/challenge", {})

    def post(self, write, timeout_s: float = 20.0):
        """Posts to a server that writes what `write` says to the connection, and ends within a time of its own."""

        def answer(handler):
            handler.rfile.read(int(handler.headers["content-length"]))
            write(handler.wfile.write)
            handler.close_connection = True

        with serving(answer) as url:
            return lk.Server(url, bytes(32), bytes(32), timeout_s).post("/challenge", {})

    def test_heads_and_interim_answers_that_do_not_end_are_given_up(self):
        def head(write):
            write(b"HTTP/1.1 200 OK\r\nx: ")
            while True:
                write(b"a")
                time.sleep(0.02)

        def interim(write):
            while True:
                write(b"HTTP/1.1 100 Continue\r\n\r\n")
                time.sleep(0.02)

        for endless in (head, interim):
            with self.subTest(endless.__name__), self.assertRaises(TimeoutError):
                self.post(endless, 0.5)

    def test_what_is_too_large_is_given_up(self):
        def head(write):
            write(b"HTTP/1.1 200 OK\r\n")
            while True:
                write(b"x: " + b"a" * 60_000 + b"\r\n")

        def interim(write):
            while True:
                write(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)

        def body(write):
            write(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                write(b" " * 60_000)

        for endless in (head, interim, body):
            with self.subTest(endless.__name__), self.assertRaises((lk.ProtocolError, http.client.HTTPException)):
                self.post(endless)

    def test_garbage_is_a_failure_of_that_server(self):
        deep = b"[" * 200_000
        for status in (b"200 OK", b"500 X"):
            for about, text in {
                "deep": deep,
                "deep and whole": deep + b"]" * 200_000,
                "deep code": b'{"code":' + b"[" * 900 + b"]" * 900 + b',"detail":"x"}',
                "no text": b"\xff\xfe\xfd",
                "a number of 100,000 digits": b"1" * 100_000,
                "a surrogate": b'{"code":"\\ud800","detail":"x"}',
            }.items():
                with self.subTest(about, status=status):
                    answer = b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status, len(text), text)
                    wish = lambda url: lk.Wish(lk.Server(url, bytes(32), bytes(32)))
                    with serving_raw(answer) as url:
                        [result] = lk.obtain(bytes(32), "get-or-create", [wish(url)], lambda _: b"")
                    self.assertIsInstance(result, lk.ProtocolError)
        for about, chunk in {"negative": b"-5", "no number": b"x", "endless": b"1" * 100_000}.items():
            with self.subTest(about), self.assertRaises(lk.FAILURES):
                self.post(lambda write: write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunk + b"\r\n"))

    def test_an_address_that_is_none_is_a_failure_of_that_server(self):
        for url in ("file:///etc/passwd", "http://", "http://[::1", "http://127.0.0.1:99999", "http://a b/", "", "http://" + "a" * 70):
            with self.subTest(url), self.assertRaises(lk.FAILURES):
                lk.Server(url, bytes(32), bytes(32), 1.0).post("/challenge", {})

    def refusal(self, body: object, head: str = "") -> lk.Refused:
        text = json.dumps(body)
        answer = f"HTTP/1.1 429 X\r\ncontent-length: {len(text)}\r\n{head}\r\n{text}".encode()
        with serving_raw(answer) as url, self.assertRaises(lk.Refused) as caught:
            lk.Server(url, bytes(32), bytes(32)).post("/challenge", {})
        return caught.exception

    def test_refusals_say_why_and_until_when(self):
        told = {"code": "RATE_LIMITED", "detail": "too many", "field": "quote", "hint": "wait"}
        refused = self.refusal(told, "Retry-After: 7\r\n")
        self.assertEqual((refused.status, refused.code, refused.detail), (429, "RATE_LIMITED", "too many"))
        self.assertEqual((refused.field, refused.hint, refused.retry_after_s), ("quote", "wait", 7))
        self.assertEqual(self.refusal({**told, "retryAfterMs": 1500}).retry_after_s, 1.5)

    def test_refusals_are_bounded(self):
        shown = self.refusal({"code": "A", "detail": "\x1b[2J\n" + "d" * 1000, "field": 7, "hint": ["h"]})
        self.assertEqual((len(shown.detail), shown.detail[:6]), (300, " [2J d"))
        self.assertEqual((shown.field, shown.hint, shown.retry_after_s), (None, None, None))
        self.assertEqual(self.refusal({"code": "A"}).detail, "")
        for head in ("Retry-After: -1\r\n", "Retry-After: tomorrow\r\n", "Retry-After: 1e9\r\n"):
            self.assertIsNone(self.refusal({"code": "A"}, head).retry_after_s)
        self.assertEqual(self.refusal({"code": "A"}, f"Retry-After: {'9' * 50}\r\n").retry_after_s, 86_400)
        for value in (-1, True, "1", 1.5):
            self.assertIsNone(self.refusal({"code": "A", "retryAfterMs": value}).retry_after_s)
        self.assertEqual(self.refusal({"code": "A", "retryAfterMs": 10**30}).retry_after_s, 86_400)
        for code in ("", "a b", "A" * 65, 7, None, ["A"]):
            with self.subTest(code), self.assertRaises(lk.ProtocolError):
                self.refusal({"code": code})

    def test_a_path_before_the_routes_is_kept(self):
        with serving(lambda handler: say(handler, 200, handler.path)) as url:
            self.assertEqual(lk.Server(url + "/keys/", bytes(32), bytes(32)).post("/challenge", {}), "/keys/challenge")

    def test_proxies_of_the_environment_are_not_used(self):
        def welcome(handler):
            handler.send_response(200)
            handler.end_headers()
            handler.wfile.write(b'{"from":"the server"}')

        program = "import sys, latchkey_client as lk\n"
        program += "print(lk.Server(sys.argv[1], bytes(32), bytes(32)).post('/challenge', {})['from'])"
        with serving(welcome) as url:
            # Nothing listens at the address of this proxy.
            environment = {**os.environ, "http_proxy": "http://127.0.0.1:1", "no_proxy": ""}
            folder = pathlib.Path(__file__).parent
            done = subprocess.run(
                [sys.executable, "-c", program, url], cwd=folder, env=environment, capture_output=True, text=True
            )
        self.assertEqual((done.stdout, done.stderr), ("the server\n", ""))


@unittest.skipUnless("LATCHKEY_NETWORK" in os.environ, "LATCHKEY_NETWORK names no running network")
class Network(unittest.TestCase):
    def test_whole_exchange(self):
        network = json.loads(os.environ["LATCHKEY_NETWORK"])
        quote = lk.mock_tdx(network["quoteProvider"])
        servers = [
            lk.Server(entry["endpoint"], lk.account_bytes(entry["accountId"]), raw(entry["x25519PublicKey"]))
            for entry in network["servers"]
        ]
        account, secret = os.urandom(32), os.urandom(32)
        wishes = [lk.Wish(server, os.urandom(16)) for server in servers]
        made = lk.obtain(account, "create", wishes, quote)
        boot_id = lk.marked_boot(secret, 1, os.urandom(8))
        for wish, grant in zip(wishes, made):
            self.assertIsInstance(grant, lk.Grant)
            self.assertTrue(grant.created)
            said = wish.server.link_and_confirm(account, wish.slot_id, grant.key, secret, 1, boot_id)
            self.assertEqual(said["lineage"]["slots"], [lk.to_hex(wish.slot_id)])
        again = [lk.Wish(w.server, w.slot_id, g.recovery_token) for w, g in zip(wishes, made)]
        back = lk.obtain(account, "recover", again, quote)
        self.assertEqual([grant.key for grant in back], [grant.key for grant in made])
        stolen = lk.obtain(account, "recover", [lk.Wish(servers[0], wishes[0].slot_id, os.urandom(32))], quote)
        self.assertEqual(getattr(stolen[0], "code", stolen[0]), "RECOVERY_PROOF_WRONG")
        for wish, grant in zip(wishes, made):
            self.assertTrue(wish.server.forget(account, wish.slot_id, grant.key, 1, boot_id)["erased"])
        gone = lk.obtain(account, "recover", again, quote)
        self.assertEqual([getattr(error, "code", error) for error in gone], ["KEY_UNKNOWN"] * len(servers))


if __name__ == "__main__":
    unittest.main()
