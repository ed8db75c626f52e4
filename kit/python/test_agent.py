"""The client of the agent: against answers that these tests make, and against a running agent where LATCHKEY_AGENT names
its socket."""

import contextlib
import http.client
import os
import pathlib
import re
import socket
import tempfile
import threading
import time
import unittest

from latchkey_agent import Agent
from latchkey_client import ProtocolError, Refused

GOOD = '{"id":1,"timestamp":2,"fragment":"AQID"}'


def answer_of(status: str, body: str, length=None) -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body) if length is None else length}\r\n\r\n{body}".encode()


def request_from(connection: socket.socket) -> bytes:
    """All of one request: http.client sends head and content in two writes."""
    head = b""
    while b"\r\n\r\n" not in head:
        part = connection.recv(65536)
        if not part:
            return head
        head += part
    lines, _, content = head.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", lines)
    while length and len(content) < int(length[1]):
        part = connection.recv(65536)
        if not part:
            break
        content += part
    return lines + b"\r\n\r\n" + content


@contextlib.contextmanager
def answering(send, timeout_s: float = 20.0, read=request_from):
    """An agent whose answer `send` writes to the connection, and the list of what it was asked."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = str(pathlib.Path(folder) / "agent.sock")
        listener.bind(path)
        listener.listen()
        asked = []

        def serve():
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    asked.append(read(connection))
                    send(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield Agent(path, timeout_s), asked


def fill(stack: contextlib.ExitStack, path: str) -> None:
    """Connects until the queue of the socket is full."""
    for _ in range(100):
        one = stack.enter_context(socket.socket(socket.AF_UNIX))
        one.setblocking(False)
        try:
            one.connect(path)
        except BlockingIOError:
            return
    raise AssertionError("the queue takes all")


def fragment_of(answer: bytes):
    with answering(lambda connection: connection.sendall(answer)) as (agent, _):
        return agent.retrieve_fragment(1)


class Answers(unittest.TestCase):
    def test_good(self):
        fragment = fragment_of(answer_of("200 OK", GOOD))
        self.assertEqual((fragment.timestamp, fragment.bytes), (2, b"\1\2\3"))
        self.assertNotIn("x01", repr(fragment))

    def test_names_are_one_part_of_the_path(self):
        with answering(lambda connection: connection.sendall(answer_of("200 OK", "{}"))) as (agent, asked):
            agent.put("names", "a/b ?%\r\né", b"share")
        self.assertTrue(asked[0].startswith(b"PUT /kv/names/a%2Fb%20%3F%25%0D%0A%C3%A9 HTTP/1.1\r\n"), asked)

    def test_an_answer_before_the_request_is_read_is_heard(self):
        # The content is more than the socket holds, so that the server closes while it is being sent.
        def refuse(connection):
            connection.sendall(answer_of("413 Content Too Large", '{"code":"BODY_TOO_LARGE","detail":"too large"}'))

        with answering(refuse, read=lambda connection: connection.recv(1)) as (agent, _):
            with self.assertRaises(Refused) as caught:
                agent.put("names", "a", bytes(8 * 1024 * 1024))
        self.assertEqual((caught.exception.status, caught.exception.code), (413, "BODY_TOO_LARGE"))

    def test_names_that_change_the_path_are_not_sent(self):
        # Nobody listens there: an attempt to send would be an OSError.
        agent = Agent("/nonexistent/agent.sock")
        for name in ("", ".", ".."):
            calls = (
                lambda: agent.create_namespace(name),
                lambda: agent.put(name, "a", b""),
                lambda: agent.put("names", name, b""),
                lambda: agent.get(name, "a"),
                lambda: agent.get("names", name),
                lambda: agent.delete(name, "a"),
                lambda: agent.delete("names", name),
            )
            for call in calls:
                with self.subTest(name), self.assertRaises(ValueError):
                    call()

    def test_refusal(self):
        with self.assertRaises(Refused) as caught:
            fragment_of(answer_of("404 Not Found", '{"code":"RITUAL_NOT_FOUND","detail":"none"}'))
        self.assertEqual((caught.exception.status, caught.exception.code), (404, "RITUAL_NOT_FOUND"))

    def test_what_is_no_answer(self):
        answers = {
            "no JSON": answer_of("200 OK", "hello"),
            "no object": answer_of("200 OK", "[]"),
            "no fragment": answer_of("200 OK", '{"id":1,"timestamp":2}'),
            "other base64": answer_of("200 OK", GOOD.replace("AQID", "AQI")),
            "time is a boolean": answer_of("200 OK", GOOD.replace(":2", ":true")),
            "no problem": answer_of("500 Internal Server Error", "{}"),
            "too large": answer_of("200 OK", GOOD + " " * 24 * 1024 * 1024),
            "cut": answer_of("200 OK", GOOD[:-1], len(GOOD)),
        }
        for about, answer in answers.items():
            with self.subTest(about), self.assertRaises(ProtocolError) as caught:
                fragment_of(answer)
            self.assertNotIn("AQI", str(caught.exception))
        with self.assertRaises(http.client.HTTPException):
            fragment_of(b"hello")
        with self.assertRaises(OSError):
            Agent("/nonexistent/agent.sock").status()

    def test_an_answer_that_does_not_end_is_given_up(self):
        # Something always comes, so that a bound on the silence alone would never end.
        for about, begin, part in (
            ("head", b"HTTP/1.1 200 OK\r\nx: ", b"a"),
            ("interim", b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
            ("body", b"HTTP/1.1 200 OK\r\n\r\n", b" "),
        ):

            def drip(connection):
                connection.sendall(begin)
                while True:
                    connection.sendall(part)
                    time.sleep(0.02)

            with self.subTest(about), answering(drip, timeout_s=0.3) as (agent, _), self.assertRaises(TimeoutError):
                agent.status()

    def test_garbage(self):
        for text in ("[" * 200_000, "[" * 200_000 + "]" * 200_000):
            for status in ("200 OK", "500 X"):
                with self.subTest(status), self.assertRaises(ProtocolError):
                    fragment_of(answer_of(status, text))

    def test_an_agent_whose_queue_is_full_is_awaited_in_time(self):
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
            path = str(pathlib.Path(folder) / "agent.sock")
            listener.bind(path)
            listener.listen(0)
            with contextlib.ExitStack() as stack:
                fill(stack, path)
                with self.assertRaises(TimeoutError):
                    Agent(path, 0.2).status()


@unittest.skipUnless("LATCHKEY_AGENT" in os.environ, "LATCHKEY_AGENT names no socket")
class Running(unittest.TestCase):
    def refused(self, call) -> str:
        with self.assertRaises(Refused) as caught:
            call()
        return caught.exception.code

    def test_records(self):
        agent = Agent(os.environ["LATCHKEY_AGENT"], 60)
        agent.create_namespace("python")
        large = bytes(range(250)) * 8000
        agent.put("python", "a/b", large)
        self.assertEqual(agent.get("python", "a/b"), large)
        agent.delete("python", "a/b")
        self.assertEqual(self.refused(lambda: agent.get("python", "a/b")), "STORE_NAME_MISSING")
        self.assertIn("state", agent.status())

    def test_rituals(self):
        """The test of the kit has made ritual 7002 active, for the validator 0xA."""
        agent = Agent(os.environ["LATCHKEY_AGENT"], 60)
        self.assertTrue(agent.store_fragment(7002, 13234134, b"\1\0\1"))
        self.assertFalse(agent.store_fragment(7002, 13234134, b"\1\0\1"))
        inputs = agent.decryption_inputs(7002, "0xA")
        self.assertEqual((inputs.fragment.timestamp, inputs.fragment.bytes), (13234134, b"\1\0\1"))
        self.assertEqual((inputs.dkg_size, inputs.threshold, inputs.position), (1, 1, 0))
        self.assertEqual((inputs.aggregated_transcript, inputs.public_key), (b"t", b"p"))
        self.assertEqual(list(inputs.validators), [("0xA", b"k")])
        self.assertEqual(self.refused(lambda: agent.decryption_inputs(7002, "0xB")), "RITUAL_NOT_PARTICIPANT")
        self.assertEqual(self.refused(lambda: agent.decryption_inputs(7999, "0xA")), "RITUAL_NOT_ACTIVE")
        agent.delete_fragment(7002)
        self.assertEqual(self.refused(lambda: agent.retrieve_fragment(7002)), "RITUAL_NOT_FOUND")


if __name__ == "__main__":
    unittest.main()
