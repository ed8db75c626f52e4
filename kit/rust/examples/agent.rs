//! A program beside `latchkey serve`: keeps a share in the node's sealed store, and reads it again. `LATCHKEY_AGENT` is the
//! path of the agent's socket.
use latchkey_client::{Agent, Error};
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let agent = Agent::new(std::env::var("LATCHKEY_AGENT")?, Duration::from_secs(20));
    println!("the node is {}", agent.status()?["state"]);
    agent.create_namespace("shares")?;
    agent.put("shares", "share-1", b"a share")?;
    println!("{} bytes read", agent.get("shares", "share-1")?.len());
    agent.delete("shares", "share-1")?;

    // A share of a threshold decryption is made of what the agent gives, by the library of the DKG.
    match agent.decryption_inputs(1, "0x0000000000000000000000000000000000000001") {
        Ok(inputs) => println!("fragment {} of {}", inputs.position, inputs.dkg_size),
        Err(Error::Refused { code, .. }) => println!("no decryption: {code}"),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
