//! The client under `latchkey conformance --client`; docs/conformance.md has the contract.
use latchkey_client::*;
use serde_json::{json, Value};
use std::time::Duration;

/// A server, and what the client has there; `failed` ends the steps.
struct Known {
    name: String,
    server: Server,
    slot_id: [u8; 16],
    grant: Option<Grant>,
    failed: bool,
}

impl Known {
    fn key(&self) -> &[u8; 32] {
        &self.grant.as_ref().expect("create comes first").key
    }

    fn say(&mut self, step: &str, result: Result<Value, Error>) {
        let mut line = json!({ "step": step, "server": self.name, "ok": result.is_ok() });
        match result {
            Ok(Value::String(key_id)) => line["keyId"] = key_id.into(),
            Ok(_) => {}
            Err(error) => {
                self.failed = true;
                eprintln!("{step}: {error}");
                line["reason"] = reason(&error).into();
                if let Error::Refused { code, .. } = error {
                    line["code"] = code.into();
                }
            }
        }
        println!("{line}");
    }
}

fn reason(error: &Error) -> &'static str {
    match error {
        Error::Protocol(_) => "protocol",
        Error::Refused { .. } => "refused",
        Error::Unreachable(_) => "unreachable",
        Error::Replaced(_) => "replaced",
    }
}

fn mock_quote(url: &str, report_data: &[u8; 64]) -> Result<Vec<u8>, Error> {
    use base64::{engine::general_purpose::STANDARD, Engine};
    let body = json!({ "reportData": to_hex(report_data) });
    let failed = |reason: String| Error::Unreachable(reason);
    let answer = ureq::post(&format!("{url}/quote")).send_json(body).map_err(|e| failed(e.to_string()))?;
    let value: Value = answer.into_json().map_err(|e| failed(e.to_string()))?;
    STANDARD.decode(value["quote"].as_str().unwrap_or_default()).map_err(|e| failed(e.to_string()))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let told: Value = serde_json::from_str(&std::env::var("LATCHKEY_CONFORMANCE")?)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (client, secret) = (account(&text(&told["account"]))?, array_of_hex::<32>(&text(&told["lineageSecret"]))?);
    let provider = text(&told["quoteProvider"]);
    let timeout = Duration::from_millis(told["timeoutMs"].as_u64().unwrap_or(20_000));
    let mut servers = Vec::new();
    for entry in told["servers"].as_array().ok_or("no servers")? {
        let (name, key) = (text(&entry["accountId"]), array_of_hex(&text(&entry["x25519PublicKey"]))?);
        let server = Server::with_timeout(&text(&entry["endpoint"]), account(&name)?, key, timeout);
        servers.push(Known { name, server, slot_id: NO_SLOT, grant: None, failed: false });
    }
    let (first, second): ([u8; 8], [u8; 8]) = (random(), random());
    let mut boot = (1, marked_boot(&secret, 1, &first));

    for step in told["steps"].as_array().ok_or("no steps")? {
        let step = step.as_str().unwrap_or_default();
        if step == "claim" {
            boot = (2, marked_boot(&secret, 2, &second));
        }
        let intent = match step {
            "plain" => Some(Intent::GetOrCreate),
            "create" => Some(Intent::Create),
            "recover" => Some(Intent::Recover),
            "link" | "reserve" | "claim" | "status" | "update" | "forget" => None,
            _ => {
                println!("{}", json!({ "step": step, "unsupported": true }));
                continue;
            }
        };
        let mut left: Vec<&mut Known> = servers.iter_mut().filter(|known| !known.failed).collect();
        if let Some(intent) = intent {
            ask(&client, intent, step, &mut left, &provider)?;
            continue;
        }
        for known in left {
            let (server, slot) = (&known.server, &known.slot_id);
            let result = match step {
                "link" => server.link_and_confirm(&client, slot, known.key(), &secret, boot),
                "reserve" => server.reserve(&client, slot, known.key(), (2, reserved_boot(&secret, 2, &second))),
                "claim" => server.claim(&client, slot, known.key(), boot),
                "status" => server.lineage_status(&client, &secret),
                "update" => {
                    let head = Some(marked_head(&secret, boot, 1, &random()));
                    let update = Update { boot, head, forget: Vec::new(), close: None };
                    server.lineage_update(&client, &secret, &update)
                }
                _ => server.forget(&client, slot, known.key(), boot).and_then(|said| match said["erased"] == true {
                    true => Ok(said),
                    false => Err(Error::Replaced("the server kept the key for a newer boot".into())),
                }),
            };
            known.say(step, result);
        }
    }
    Ok(())
}

fn ask(
    client: &[u8; 32],
    intent: Intent,
    step: &str,
    left: &mut [&mut Known],
    provider: &str,
) -> Result<(), Box<dyn std::error::Error>> {
    if left.is_empty() {
        return Ok(());
    }
    for known in left.iter_mut() {
        match intent {
            Intent::GetOrCreate => known.slot_id = NO_SLOT,
            Intent::Create => known.slot_id = random(),
            Intent::Recover => {}
        }
    }
    let token = |known: &Known| match (intent, &known.grant) {
        (Intent::Recover, Some(grant)) => grant.recovery_token.clone(),
        _ => None,
    };
    let wishes: Vec<Wish> = left
        .iter()
        .map(|known| Wish { server: &known.server, slot_id: known.slot_id, recovery_token: token(known) })
        .collect();
    let results = obtain(client, intent, &wishes, |report_data| mock_quote(provider, report_data))?;
    for (known, result) in left.iter_mut().zip(results) {
        let result = result.and_then(|grant| {
            let key_id = Value::String(to_hex(&grant.key_id));
            // A node sees another key by the share that does not open.
            if intent == Intent::Recover && *grant.key != *known.key() {
                return Err(Error::Protocol("the server gave another key".into()));
            }
            if intent == Intent::Create {
                known.grant = Some(grant);
            }
            Ok(key_id)
        });
        known.say(step, result);
    }
    Ok(())
}
