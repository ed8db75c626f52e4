"""Gets a key of each server of a development network, and gets it back as after a restart."""

import json
import os

import latchkey_client as lk

network = json.loads(os.environ["LATCHKEY_NETWORK"])
quote = lk.mock_tdx(network["quoteProvider"])
servers = [
    lk.Server(entry["endpoint"], lk.account_bytes(entry["accountId"]), bytes.fromhex(entry["x25519PublicKey"][2:]))
    for entry in network["servers"]
]
account, lineage_secret = os.urandom(32), os.urandom(32)
wishes = [lk.Wish(server, slot_id=os.urandom(16)) for server in servers]
grants = lk.obtain(account, "create", wishes, quote)
boot_id = lk.marked_boot(lineage_secret, 1, os.urandom(8))
for wish, grant in zip(wishes, grants):
    if isinstance(grant, Exception):
        raise grant
    wish.server.link_and_confirm(account, wish.slot_id, grant.key, lineage_secret, 1, boot_id)
print(len(grants), "keys created and linked")

again = [lk.Wish(wish.server, wish.slot_id, grant.recovery_token) for wish, grant in zip(wishes, grants)]
back = lk.obtain(account, "recover", again, quote)
assert [grant.key for grant in back] == [grant.key for grant in grants]
print(len(back), "keys recovered")

# Before it writes, the second boot reserves a number and shows itself: an older copy finds out that it must stop.
random_part = os.urandom(8)
for wish, grant in zip(wishes, grants):
    reserved = lk.reserved_boot(lineage_secret, 2, random_part)
    wish.server.reserve(account, wish.slot_id, grant.key, 2, reserved)
boot_id = lk.marked_boot(lineage_secret, 2, random_part)
for wish, grant in zip(wishes, grants):
    wish.server.claim(account, wish.slot_id, grant.key, 2, boot_id)
print("boot 2 is shown")
for wish, grant in zip(wishes, grants):
    wish.server.forget(account, wish.slot_id, grant.key, 2, boot_id)
