//! A TSS node's part: gets a key of every server of a network, links it, loses its memory, gets the keys back, and gives
//! them up. `LATCHKEY_NETWORK` is the line with `ready` that `npm start -- --network --json` prints.
use latchkey_client::*;
use serde_json::Value;

/// Development only. In a TD the quote comes from /sys/kernel/config/tsm/report.
fn mock_quote(url: &str, report_data: &[u8; 64]) -> Result<Vec<u8>, Error> {
    use base64::{engine::general_purpose::STANDARD, Engine};
    let body = serde_json::json!({ "reportData": to_hex(report_data) });
    let failed = |reason: String| Error::Unreachable(reason);
    let answer = ureq::post(&format!("{url}/quote")).send_json(body).map_err(|e| failed(e.to_string()))?;
    let value: Value = answer.into_json().map_err(|e| failed(e.to_string()))?;
    STANDARD.decode(value["quote"].as_str().unwrap_or_default()).map_err(|e| failed(e.to_string()))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let network: Value = serde_json::from_str(&std::env::var("LATCHKEY_NETWORK")?)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let provider = text(&network["quoteProvider"]);
    let servers = network["servers"]
        .as_array()
        .ok_or("no servers")?
        .iter()
        .map(|entry| {
            let key = array_of_hex(&text(&entry["x25519PublicKey"]))?;
            Ok(Server::new(&text(&entry["endpoint"]), account(&text(&entry["accountId"]))?, key))
        })
        .collect::<Result<Vec<_>, Error>>()?;

    // The account is the node's own on the chain; the lineage secret belongs to its store.
    let (client, lineage_secret): ([u8; 32], [u8; 32]) = (random(), random());
    let quote = |report_data: &[u8; 64]| mock_quote(&provider, report_data);
    let ask = |server, slot_id, recovery_token| Wish { server, slot_id, recovery_token };

    let wishes: Vec<Wish> = servers.iter().map(|server| ask(server, random(), None)).collect();
    let grants = obtain(&client, Intent::Create, &wishes, quote)?.into_iter().collect::<Result<Vec<_>, _>>()?;
    let boot = (1, marked_boot(&lineage_secret, 1, &random()));
    for (wish, grant) in wishes.iter().zip(&grants) {
        wish.server.link_and_confirm(&client, &wish.slot_id, &grant.key, &lineage_secret, boot)?;
    }
    println!("{} keys created and linked", grants.len());

    // After a restart: slot ids and tokens are in the node's keyslot file, the tokens sealed.
    let token = |grant: &Grant| grant.recovery_token.clone();
    let again: Vec<Wish> =
        wishes.iter().zip(&grants).map(|(wish, grant)| ask(wish.server, wish.slot_id, token(grant))).collect();
    let back = obtain(&client, Intent::Recover, &again, quote)?.into_iter().collect::<Result<Vec<_>, _>>()?;
    if back.iter().zip(&grants).any(|(now, then)| now.key != then.key) {
        return Err("a server gave another key".into());
    }
    println!("{} keys recovered", back.len());

    // Before it writes, the second boot reserves a number and shows itself: an older copy finds out that it must stop.
    let random_part = random();
    let reserved = (2, reserved_boot(&lineage_secret, 2, &random_part));
    let second = (2, marked_boot(&lineage_secret, 2, &random_part));
    for (wish, grant) in wishes.iter().zip(&grants) {
        wish.server.reserve(&client, &wish.slot_id, &grant.key, reserved)?;
    }
    for (wish, grant) in wishes.iter().zip(&grants) {
        wish.server.claim(&client, &wish.slot_id, &grant.key, second)?;
    }
    match servers[0].claim(&client, &wishes[0].slot_id, &grants[0].key, boot) {
        Err(Error::Replaced(_)) => println!("boot 2 is shown, boot 1 is replaced"),
        other => return Err(format!("the first boot was not told that it is replaced: {other:?}").into()),
    }

    let stolen = [ask(&servers[0], wishes[0].slot_id, Some(random::<32>().into()))];
    match &obtain(&client, Intent::Recover, &stolen, quote)?[0] {
        Err(Error::Refused { code, .. }) => println!("a wrong proof is refused: {code}"),
        other => return Err(format!("a wrong proof got {other:?}").into()),
    }
    for (wish, grant) in wishes.iter().zip(&grants) {
        let said = wish.server.forget(&client, &wish.slot_id, &grant.key, second)?;
        if said["erased"] != true {
            return Err("a server kept a key".into());
        }
    }
    println!("{} keys erased", wishes.len());
    Ok(())
}
