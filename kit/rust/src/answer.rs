use crate::bytes::{array_of_hex, base64_of, Fields};
use crate::{broken, derive, hmac_sha256, Error};
use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

/// What a server releases.
pub struct Grant {
    /// The server key.
    pub key: Zeroizing<[u8; 32]>,
    /// Only with intent create.
    pub recovery_token: Option<Zeroizing<[u8; 32]>>,
    /// Names the key without telling it.
    pub key_id: [u8; 16],
    /// Whether this request made the key.
    pub created: bool,
    /// The server's clock.
    pub server_time_ms: u64,
    /// What the server knows of the lineage; `None` for a new slot and a plain key.
    pub lineage: Option<Value>,
}

impl std::fmt::Debug for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Grant {{ key_id: {}, created: {} }}", hex::encode(self.key_id), self.created)
    }
}

impl Grant {
    /// Reads the plaintext of an answer, and wipes it and what was read of it.
    pub(crate) fn read(mut plaintext: Vec<u8>) -> Result<Self, Error> {
        let parsed: Result<Value, _> = serde_json::from_slice(&plaintext);
        plaintext.zeroize();
        let Ok(mut value) = parsed else {
            return broken("the sealed text is no JSON");
        };
        let grant = Grant::of(&value);
        for name in ["key", "recoveryToken"] {
            if let Some(Value::String(text)) = value.get_mut(name) {
                text.zeroize();
            }
        }
        grant
    }

    fn of(value: &Value) -> Result<Self, Error> {
        let required = ["key", "keyId", "created", "createdAtMs", "serverTimeMs", "finalized"];
        let fields = Fields::of(value, &required, &["recoveryToken", "lineage", "extensions"])?;
        fields.integer("createdAtMs")?;
        let block = Fields::of(&value["finalized"], &["number", "hash"], &[])?;
        block.integer("number")?;
        block.bytes::<32>("hash")?;
        lineage_bytes(fields.get("lineage"))?;
        extension_bytes(fields.get("extensions"))?;
        let token = match fields.get("recoveryToken") {
            Some(_) => Some(Zeroizing::new(fields.bytes("recoveryToken")?)),
            None => None,
        };
        Ok(Grant {
            key: Zeroizing::new(fields.bytes("key")?),
            recovery_token: token,
            key_id: fields.bytes("keyId")?,
            created: fields.boolean("created")?,
            server_time_ms: fields.integer("serverTimeMs")?,
            lineage: fields.get("lineage").cloned(),
        })
    }
}

fn boot_bytes(fields: &Fields) -> Result<Vec<u8>, Error> {
    let number = fields.integer("incarnation")?.to_be_bytes();
    Ok([&number[..], &fields.bytes::<16>("bootId")?[..]].concat())
}

/// Canonical bytes of `lineage` of an answer.
fn lineage_bytes(lineage: Option<&Value>) -> Result<Vec<u8>, Error> {
    let Some(value) = lineage else {
        return Ok(vec![0]);
    };
    let required = ["reserved", "reservedBoot", "incarnation", "bootId", "slots", "closed"];
    let fields = Fields::of(value, &required, &["head"])?;
    let mut bytes = vec![1];
    bytes.extend(fields.integer("reserved")?.to_be_bytes());
    bytes.extend(fields.bytes::<16>("reservedBoot")?);
    bytes.extend(boot_bytes(&fields)?);
    match fields.get("head") {
        None => bytes.push(0),
        Some(head) => {
            let told = Fields::of(head, &["incarnation", "bootId", "sequence", "digest"], &[])?;
            bytes.push(1);
            bytes.extend(boot_bytes(&told)?);
            bytes.extend(told.integer("sequence")?.to_be_bytes());
            bytes.extend(told.bytes::<32>("digest")?);
        }
    }
    let Some(slots) = fields.get("slots").and_then(Value::as_array).filter(|slots| slots.len() <= 32) else {
        return broken("slots must be a list of at most 32");
    };
    bytes.push(slots.len() as u8);
    for slot in slots {
        bytes.extend(array_of_hex::<16>(slot.as_str().unwrap_or_default())?);
    }
    bytes.push(fields.boolean("closed")?.into());
    Ok(bytes)
}

fn is_extension_name(name: &str) -> bool {
    let mut letters = name.bytes();
    letters.next().is_some_and(|first| first.is_ascii_lowercase())
        && name.len() <= 32
        && letters.all(|letter| letter.is_ascii_alphanumeric())
}

/// Canonical bytes of `extensions`: names that are not known are covered, and otherwise ignored.
fn extension_bytes(extensions: Option<&Value>) -> Result<Vec<u8>, Error> {
    let Some(value) = extensions else {
        return Ok(vec![0, 0]);
    };
    let Some(map) = value.as_object().filter(|map| (1..=8).contains(&map.len())) else {
        return broken("extensions must be an object of 1 to 8 names");
    };
    let mut names: Vec<&String> = map.keys().collect();
    names.sort();
    let mut bytes = (names.len() as u16).to_be_bytes().to_vec();
    for name in names {
        let content = base64_of(map[name].as_str().unwrap_or_default())?;
        if !is_extension_name(name) || !(1..=4096).contains(&content.len()) {
            return broken("an extension has a bad name or length");
        }
        bytes.push(name.len() as u8);
        bytes.extend(name.as_bytes());
        bytes.extend((content.len() as u16).to_be_bytes());
        bytes.extend(content);
    }
    Ok(bytes)
}

/// Fails unless the server holds the key and said exactly this.
pub fn check_answer_mac(route: &str, key: &[u8], request_mac: &[u8], answer: &Value) -> Result<(), Error> {
    let is_forget = route == "forget";
    let state = ["instanceId", "serverTimeMs", "draining", "mac"];
    let forgotten = ["erased", "instanceId", "serverTimeMs", "draining", "mac"];
    let required: &[&str] = if is_forget { &forgotten } else { &state };
    let fields = Fields::of(answer, required, &["lineage", "extensions"])?;
    let mut content = Vec::new();
    if is_forget {
        content.push(fields.boolean("erased")?.into());
    }
    content.extend(fields.bytes::<16>("instanceId")?);
    content.extend(fields.integer("serverTimeMs")?.to_be_bytes());
    content.push(fields.boolean("draining")?.into());
    content.extend(lineage_bytes(fields.get("lineage"))?);
    content.extend(extension_bytes(fields.get("extensions"))?);
    let mac_key = derive(key, format!("latchkey/v1/{route}/response").as_bytes());
    let mut mac = Hmac::<Sha256>::new_from_slice(&*mac_key).expect("HMAC takes a key of any length");
    mac.update(request_mac);
    mac.update(&content);
    mac.verify_slice(&fields.bytes::<32>("mac")?).or_else(|_| broken("the MAC of the answer is wrong"))
}

/// MAC of a request.
pub(crate) fn request_mac(route: &str, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    hmac_sha256(&*derive(key, format!("latchkey/v1/{route}/request").as_bytes()), parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_sealed_text_is_read_as_the_protocol_says() {
        let good = json!({
            "key": format!("0x{}", "01".repeat(32)), "keyId": format!("0x{}", "02".repeat(16)), "created": true,
            "createdAtMs": 1, "serverTimeMs": 2,
            "finalized": { "number": 3, "hash": format!("0x{}", "03".repeat(32)) },
        });
        let read = |value: &Value| Grant::read(value.to_string().into_bytes());
        assert!(read(&good).is_ok());
        let changed = |name: &str, value: Value| {
            let mut changed = good.clone();
            changed[name] = value;
            changed
        };
        for name in ["recoveryToken", "lineage", "extensions"] {
            assert!(matches!(read(&changed(name, Value::Null)), Err(Error::Protocol(_))), "{name}");
        }
        let hash = good["finalized"]["hash"].clone();
        let blocks = [
            json!(null),
            json!({}),
            json!(1),
            json!({ "number": 1 }),
            json!({ "number": -1, "hash": hash }),
            json!({ "number": 1, "hash": "0x00" }),
            json!({ "number": 1, "hash": hash, "note": 1 }),
        ];
        for block in blocks {
            assert!(matches!(read(&changed("finalized", block.clone())), Err(Error::Protocol(_))), "{block}");
        }
    }
}
