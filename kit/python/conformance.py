"""This client under `latchkey conformance --client 'python3 conformance.py'`; docs/conformance.md has the contract."""

import json
import os
import sys

import latchkey_client as lk

scenario = json.loads(os.environ["LATCHKEY_CONFORMANCE"])
account, lineage_secret = lk.account_bytes(scenario["account"]), bytes.fromhex(scenario["lineageSecret"][2:])
quote = lk.mock_tdx(scenario["quoteProvider"])
first_boot, second_boot = os.urandom(8), os.urandom(8)
boot = (1, lk.marked_boot(lineage_secret, 1, first_boot))


class Known:
    """A server, and what the client has there. `failed` ends the steps."""

    def __init__(self, entry):
        self.name = entry["accountId"]
        key = bytes.fromhex(entry["x25519PublicKey"][2:])
        self.server = lk.Server(entry["endpoint"], lk.account_bytes(self.name), key, scenario["timeoutMs"] / 1000)
        self.slot_id, self.grant, self.failed = lk.NO_SLOT, None, False


servers = [Known(entry) for entry in scenario["servers"]]


def say(step, known, error=None, **more):
    line = {"step": step, "server": known.name, "ok": error is None, **more}
    if error is not None:
        known.failed = True
        line["reason"] = lk.reason_of(error)
        if isinstance(error, lk.Refused):
            line["code"] = error.code
        print(step, error, file=sys.stderr)
    print(json.dumps(line), flush=True)


def obtain(step, intent, wish_of):
    asked = [known for known in servers if not known.failed]
    results = lk.obtain(account, intent, [wish_of(known) for known in asked], quote) if asked else []
    for known, result in zip(asked, results):
        error = result if isinstance(result, Exception) else None
        # A node sees another key by the share that does not open.
        if error is None and intent == "recover" and result.key != known.grant.key:
            error = lk.ProtocolError("the server gave another key")
        if error is not None:
            say(step, known, error)
            continue
        if intent == "create":
            known.grant = result
        say(step, known, keyId=lk.to_hex(result.key_id))


def each(step, act):
    for known in [known for known in servers if not known.failed]:
        try:
            act(known)
        except lk.FAILURES as error:
            say(step, known, error)
        else:
            say(step, known)


def create(known):
    known.slot_id = os.urandom(16)
    return lk.Wish(known.server, known.slot_id)


def claim(known):
    global boot
    boot = (2, lk.marked_boot(lineage_secret, 2, second_boot))
    known.server.claim(account, known.slot_id, known.grant.key, *boot)


def forget(known):
    if not known.server.forget(account, known.slot_id, known.grant.key, *boot)["erased"]:
        raise lk.Replaced("the server kept the key for a newer boot")


STEPS = {
    "plain": lambda: obtain("plain", "get-or-create", lambda known: lk.Wish(known.server)),
    "create": lambda: obtain("create", "create", create),
    "link": lambda: each(
        "link",
        lambda known: known.server.link_and_confirm(account, known.slot_id, known.grant.key, lineage_secret, *boot),
    ),
    "recover": lambda: obtain(
        "recover", "recover", lambda known: lk.Wish(known.server, known.slot_id, known.grant.recovery_token)
    ),
    "reserve": lambda: each(
        "reserve",
        lambda known: known.server.reserve(
            account, known.slot_id, known.grant.key, 2, lk.reserved_boot(lineage_secret, 2, second_boot)
        ),
    ),
    "claim": lambda: each("claim", claim),
    "status": lambda: each("status", lambda known: known.server.lineage_status(account, lineage_secret)),
    "update": lambda: each(
        "update",
        lambda known: known.server.lineage_update(
            account, lineage_secret, *boot, head=(1, lk.marked_head(lineage_secret, *boot, 1, os.urandom(16)))
        ),
    ),
    "forget": lambda: each("forget", forget),
}

for step in scenario["steps"]:
    if step in STEPS:
        STEPS[step]()
    else:
        print(json.dumps({"step": step, "unsupported": True}))
