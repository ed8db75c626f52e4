"""A program beside `latchkey serve`: keeps a share in the node's sealed store, and reads it again. LATCHKEY_AGENT is the
path of the agent's socket."""

import os

from latchkey_agent import Agent
from latchkey_client import Refused

agent = Agent(os.environ["LATCHKEY_AGENT"])
print("the node is", agent.status()["state"])
agent.create_namespace("shares")
agent.put("shares", "share-1", b"a share")
print(len(agent.get("shares", "share-1")), "bytes read")
agent.delete("shares", "share-1")

# A share of a threshold decryption is made of what the agent gives, by the library of the DKG.
try:
    inputs = agent.decryption_inputs(1, "0x0000000000000000000000000000000000000001")
    print("fragment", inputs.position, "of", inputs.dkg_size)
except Refused as error:
    print("no decryption:", error.code)
