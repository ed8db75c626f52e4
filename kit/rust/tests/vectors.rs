//! The shared vectors of `kit/vectors`.
use latchkey_client::*;
use serde_json::{json, Value};

fn read(name: &str) -> Value {
    let folder = std::env::var("LATCHKEY_KIT_VECTORS").unwrap_or("../vectors".into());
    let text = std::fs::read_to_string(format!("{folder}/{name}")).expect("the vectors are beside this crate");
    serde_json::from_str(&text).expect("a vector file is JSON")
}

fn bytes<const N: usize>(value: &Value) -> [u8; N] {
    array_of_hex(value.as_str().expect("text")).expect("hex of this length")
}

fn hex_bytes(value: &Value) -> Vec<u8> {
    hex::decode(&value.as_str().expect("text")[2..]).expect("hex")
}

#[test]
fn report_data() {
    let file = read("request.json");
    let (keys, body) = (&file["keys"], &file["request"]["body"]);
    let entry = |value: &Value| Entry {
        server: account(value["server"].as_str().unwrap()).unwrap(),
        nonce: bytes(&value["nonce"]),
        slot_id: bytes(&value["slotId"]),
    };
    let entries: Vec<Entry> = body["servers"].as_array().unwrap().iter().map(entry).collect();
    let client = account(body["accountId"].as_str().unwrap()).unwrap();
    let ephemeral = bytes(&body["ephemeralPublicKey"]);
    let made = request_report_data(&client, &ephemeral, Intent::Create, &entries);
    assert_eq!(to_hex(&made), file["request"]["reportData"]);
    let proof = hmac_sha256(&bytes::<32>(&keys["recoveryToken"]), &[&made]);
    assert_eq!(to_hex(&proof), body["recoveryProof"]);
    let nonce = bytes(&file["challenge"]["answer"]["nonce"]);
    let plain = [Entry { server: bytes(&keys["serverAccount"]), nonce, slot_id: NO_SLOT }];
    let made = request_report_data(&client, &ephemeral, Intent::GetOrCreate, &plain);
    assert_eq!(to_hex(&made), file["plainRequest"]["reportData"]);
}

#[test]
fn answers() {
    let (file, answer) = (read("request.json"), read("answer.json"));
    let keys = &file["keys"];
    let server = Server::new("http://unused", bytes(&keys["serverAccount"]), bytes(&keys["serverX25519PublicKey"]));
    let ephemeral = EphemeralKey::from_secret(&bytes(&keys["ephemeralSecret"])).unwrap();
    let (client, report_data) = (bytes(&keys["clientAccount"]), bytes(&file["request"]["reportData"]));
    let grant = server.open_answer(&answer["body"], &ephemeral, &client, &report_data).unwrap();
    assert_eq!(to_hex(&*grant.key), keys["serverKey"]);
    assert_eq!(to_hex(&*grant.recovery_token.clone().unwrap()), keys["recoveryToken"]);
    assert!(!format!("{grant:?}").contains(&hex::encode(*grant.key)));
    let refused = answer["refused"].as_array().unwrap();
    assert!(refused.len() >= 7);
    for case in refused {
        let opened = server.open_answer(&case["body"], &ephemeral, &client, &report_data);
        assert!(matches!(opened, Err(Error::Protocol(_))), "{} must be refused", case["change"]);
    }
}

#[test]
fn lineage() {
    let (keys, file) = (read("request.json")["keys"].clone(), read("lineage.json"));
    let secret = bytes(&file["secret"]);
    assert_eq!(to_hex(&*lineage_key_of(&secret, &bytes(&keys["serverAccount"]))), file["key"]);
    let mark = &file["incarnationMark"];
    let boot_id: [u8; 16] = bytes(&mark["bootId"]);
    let made = marked_boot(&secret, mark["incarnation"].as_u64().unwrap(), boot_id[..8].try_into().unwrap());
    assert_eq!(made, boot_id);
    let reserved = reserved_boot(&secret, mark["incarnation"].as_u64().unwrap(), boot_id[..8].try_into().unwrap());
    assert_eq!(to_hex(&reserved), file["reservationMark"]["boot"]);
    let key = lineage_key_of(&secret, &bytes(&keys["serverAccount"]));
    assert_eq!(to_hex(&lineage_id_of(&key)), file["id"]);
    let head = marked_head(&secret, (3, boot_id), 42, &bytes(&file["headMark"]["logDigest"]));
    assert_eq!(to_hex(&head.digest), file["headMark"]["digest"]);
}

#[test]
fn verdicts() {
    let file = read("verdicts.json");
    let verdicts = file["verdicts"].as_array().unwrap();
    for verdict in verdicts {
        let number = verdict["incarnation"].as_u64().unwrap();
        let holds = match verdict["route"].as_str() {
            Some("reserve") => has_reserved(&verdict["lineage"], (number, bytes(&verdict["boot"]))),
            _ => shows(&verdict["lineage"], (number, bytes(&verdict["bootId"]))),
        };
        assert_eq!(holds, verdict["holds"] == true, "{}: {}", verdict["route"], verdict["about"]);
    }
    assert!(verdicts.len() >= 13);
    assert!(!shows(&Value::Null, (0, [0; 16])) && !has_reserved(&Value::Null, (0, [0; 16])));
}

#[test]
fn update_content() {
    let file = read("mac-routes.json");
    let updates = file["exchanges"].as_array().unwrap().iter().filter(|one| one["route"] == "lineage-update");
    let boot = |value: &Value| (value["incarnation"].as_u64().unwrap(), bytes(&value["bootId"]));
    let head = |value: &Value| Head { sequence: value["sequence"].as_u64().unwrap(), digest: bytes(&value["digest"]) };
    let mut tried = 0;
    for exchange in updates {
        let body = &exchange["request"]["body"];
        let update = Update {
            boot: boot(body),
            head: body.get("head").map(head),
            forget: body["forget"].as_array().unwrap().iter().map(bytes).collect(),
            close: body.get("close").map(|end| Closing { last: boot(end), head: head(&end["head"]) }),
        };
        let (content, fields) = update.content();
        let input = exchange["request"]["macInput"].as_str().unwrap();
        assert!(input.ends_with(&hex::encode(&content)), "{}", exchange["name"]);
        assert!(fields.iter().all(|(name, value)| &body[name] == value), "{}", exchange["name"]);
        tried += 1;
    }
    assert!(tried >= 2);
}

#[test]
fn mac_routes() {
    let (keys, lineage) = (read("request.json")["keys"].clone(), read("lineage.json"));
    for exchange in read("mac-routes.json")["exchanges"].as_array().unwrap() {
        let (route, request, answer) = (exchange["route"].as_str().unwrap(), &exchange["request"], &exchange["answer"]);
        let key: [u8; 32] = bytes(if route.starts_with("lineage-") { &lineage["key"] } else { &keys["serverKey"] });
        let mac: [u8; 32] = bytes(&request["body"]["mac"]);
        let mac_key = derive(&key, format!("latchkey/v1/{route}/request").as_bytes());
        assert_eq!(hmac_sha256(&*mac_key, &[&hex_bytes(&request["macInput"])]), mac, "{}", exchange["name"]);
        check_answer_mac(route, &key, &mac, &answer["body"]).unwrap();
        let draining = answer["body"]["draining"].as_bool().unwrap();
        for (field, value) in [("draining", json!(!draining)), ("serverTimeMs", json!(1)), ("note", json!(1)), ("extensions", json!({}))] {
            let mut changed = answer["body"].clone();
            changed[field] = value;
            assert!(check_answer_mac(route, &key, &mac, &changed).is_err(), "{} with another {field}", exchange["name"]);
        }
    }
}
