use crate::answer::request_mac;
use crate::bytes::{account, array_of_hex, base64_of, random, to_hex, Fields};
use crate::refusal::refusal;
use crate::{broken, check_answer_mac, derive, lineage_id_of, lineage_key_of, EphemeralKey, Error, Grant};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::XChaCha20Poly1305;
use serde_json::{json, Map, Value};
use std::io::Read;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MAX_ANSWER_BYTES: u64 = 1024 * 1024;
/// How long challenges are awaited at most: those that came first live for 60 seconds.
pub(crate) const CHALLENGE_LIMIT: Duration = Duration::from_secs(20);

/// One key server. Account and X25519 key are those of its record on the chain, never what an answer says.
#[derive(Clone)]
pub struct Server {
    url: String,
    /// Account on the chain.
    pub account: [u8; 32],
    x25519_public_key: [u8; 32],
    pub(crate) timeout: Duration,
    agent: ureq::Agent,
}

impl Server {
    /// A server at an address such as `http://10.0.0.7:3001`.
    pub fn new(url: &str, account: [u8; 32], x25519_public_key: [u8; 32]) -> Self {
        Self::with_timeout(url, account, x25519_public_key, Duration::from_secs(20))
    }

    /// As [`Server::new`], with another bound on one answer than 20 seconds.
    pub fn with_timeout(url: &str, account: [u8; 32], x25519_public_key: [u8; 32], timeout: Duration) -> Self {
        // A redirect, or a proxy of the environment, would send requests to an address that the chain does not name.
        let agent = ureq::AgentBuilder::new().redirects(0).try_proxy_from_env(false).build();
        Server { url: url.trim_end_matches('/').into(), account, x25519_public_key, timeout, agent }
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, Error> {
        self.post_within(self.timeout, path, body)
    }

    fn post_within(&self, timeout: Duration, path: &str, body: &Value) -> Result<Value, Error> {
        match self.agent.post(&format!("{}{path}", self.url)).timeout(timeout).send_json(body) {
            Ok(answer) if answer.status() == 200 => read_json(answer),
            Ok(answer) => broken(format!("status {} is none of the protocol", answer.status())),
            Err(ureq::Error::Status(status, answer)) => {
                let retry_after = answer.header("retry-after").map(str::to_owned);
                Err(refusal(status, &read_json(answer)?, retry_after.as_deref()))
            }
            Err(error) => Err(Error::Unreachable(error.to_string())),
        }
    }

    pub(crate) fn challenge(&self, client: &[u8; 32], ephemeral: &[u8; 32]) -> Result<[u8; 32], Error> {
        let body = json!({ "accountId": to_hex(client), "ephemeralPublicKey": to_hex(ephemeral) });
        let answer = self.post_within(self.timeout.min(CHALLENGE_LIMIT), "/challenge", &body)?;
        let fields = Fields::of(&answer, &["server", "nonce", "expiresAtMs", "instanceId"], &[])?;
        if account(fields.text("server")?)? != self.account {
            return broken("the address belongs to another server");
        }
        fields.bytes("nonce")
    }

    /// Opens the answer of `/request-encryption-key`.
    pub fn open_answer(
        &self,
        answer: &Value,
        ephemeral: &EphemeralKey,
        client: &[u8; 32],
        report_data: &[u8; 64],
    ) -> Result<Grant, Error> {
        let fields = Fields::of(answer, &["server", "instanceId", "enc", "ciphertext"], &[])?;
        if account(fields.text("server")?)? != self.account {
            return broken("the answer names another server");
        }
        let info = [b"latchkey/v1/key".as_slice(), &self.account, client].concat();
        let aad = [report_data.as_slice(), &fields.bytes::<16>("instanceId")?].concat();
        let ciphertext = base64_of(fields.text("ciphertext")?)?;
        Grant::read(ephemeral.open(&self.x25519_public_key, &fields.bytes("enc")?, &info, &aad, &ciphertext)?)
    }

    /// A request of a route with a MAC; its answer, once that MAC is right.
    fn mac_request(
        &self,
        route: &str,
        client: &[u8; 32],
        name: &[u8; 16],
        key: &[u8; 32],
        content: &[u8],
        mut fields: Map<String, Value>,
    ) -> Result<Value, Error> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
        let timestamp = since.as_millis() as u64;
        let nonce: [u8; 16] = random();
        let parts: [&[u8]; 6] = [&self.account, client, name, &timestamp.to_be_bytes(), &nonce, content];
        let mac = request_mac(route, key, &parts);
        fields.insert("accountId".into(), to_hex(client).into());
        let name_field = if route.starts_with("lineage-") { "lineageId" } else { "slotId" };
        fields.insert(name_field.into(), to_hex(name).into());
        fields.insert("timestampMs".into(), timestamp.into());
        fields.insert("random".into(), to_hex(&nonce).into());
        fields.insert("mac".into(), to_hex(&mac).into());
        let answer = self.post(&format!("/{route}"), &Value::Object(fields))?;
        check_answer_mac(route, key, &mac, &answer)?;
        Ok(answer)
    }

    /// `/key-status`: links the slot to the lineage and confirms it; without it the key is dropped in an hour.
    pub fn link_and_confirm(
        &self,
        client: &[u8; 32],
        slot_id: &[u8; 16],
        key: &[u8; 32],
        lineage_secret: &[u8; 32],
        boot: Boot,
    ) -> Result<Value, Error> {
        const LABEL: &[u8] = b"latchkey/v1/lineage/link";
        let nonce: [u8; 24] = random();
        let aad = [LABEL, &self.account, client, slot_id].concat();
        let lineage_key = lineage_key_of(lineage_secret, &self.account);
        let cipher = XChaCha20Poly1305::new_from_slice(&*derive(key, LABEL)).expect("a key of 32 bytes");
        let payload = Payload { msg: &*lineage_key, aad: &aad };
        let encrypted = cipher.encrypt(&nonce.into(), payload).expect("32 bytes can be sealed");
        let sealed = [&nonce[..], &encrypted].concat();
        let (number, boot_id) = boot;
        let content = [&[1, 1], &sealed[..], &number.to_be_bytes(), &boot_id, &[0; 5]].concat();
        let mut fields = boot_fields(boot);
        fields.insert("confirm".into(), true.into());
        fields.insert("lineage".into(), to_hex(&sealed).into());
        let answer = self.mac_request("key-status", client, slot_id, key, &content, fields)?;
        let slots = answer["lineage"]["slots"].as_array();
        let is_slot = |one: &Value| one.as_str().is_some_and(|one| one.eq_ignore_ascii_case(&to_hex(slot_id)));
        if slots.is_some_and(|slots| slots.iter().any(is_slot)) {
            return Ok(answer);
        }
        broken("the server did not link the slot")
    }

    /// `/reserve`: reserves a number for this boot ([`crate::reserved_boot`]). [`Error::Replaced`] when another boot has it.
    pub fn reserve(
        &self,
        client: &[u8; 32],
        slot_id: &[u8; 16],
        key: &[u8; 32],
        (number, boot): Boot,
    ) -> Result<Value, Error> {
        let content = [&number.to_be_bytes()[..], &boot].concat();
        let mut fields = Map::new();
        fields.insert("incarnation".into(), number.into());
        fields.insert("boot".into(), to_hex(&boot).into());
        let answer = self.mac_request("reserve", client, slot_id, key, &content, fields)?;
        if has_reserved(&answer["lineage"], (number, boot)) {
            return Ok(answer);
        }
        Err(Error::Replaced("another boot has reserved this number".into()))
    }

    /// `/claim`: shows this boot. [`Error::Replaced`] when a newer one is shown: then stop writing.
    pub fn claim(&self, client: &[u8; 32], slot_id: &[u8; 16], key: &[u8; 32], boot: Boot) -> Result<Value, Error> {
        let answer = self.mac_request("claim", client, slot_id, key, &boot_bytes(boot), boot_fields(boot))?;
        if shows(&answer["lineage"], boot) {
            return Ok(answer);
        }
        Err(Error::Replaced("another boot has shown itself".into()))
    }

    /// `/lineage-status`: what the server knows of the store, also when no slot is left; changes nothing there.
    pub fn lineage_status(&self, client: &[u8; 32], lineage_secret: &[u8; 32]) -> Result<Value, Error> {
        let key = lineage_key_of(lineage_secret, &self.account);
        self.mac_request("lineage-status", client, &lineage_id_of(&key), &key, &[], Map::new())
    }

    /// `/lineage-update`: shows this boot, deposits a head, erases slots, or ends the lineage.
    pub fn lineage_update(
        &self,
        client: &[u8; 32],
        lineage_secret: &[u8; 32],
        update: &Update,
    ) -> Result<Value, Error> {
        let key = lineage_key_of(lineage_secret, &self.account);
        let (content, fields) = update.content();
        self.mac_request("lineage-update", client, &lineage_id_of(&key), &key, &content, fields)
    }

    /// `/forget`: erases the key.
    pub fn forget(&self, client: &[u8; 32], slot_id: &[u8; 16], key: &[u8; 32], boot: Boot) -> Result<Value, Error> {
        self.mac_request("forget", client, slot_id, key, &boot_bytes(boot), boot_fields(boot))
    }
}

/// One boot: its number, and its 16 bytes in an incarnation or in a reservation.
pub type Boot = (u64, [u8; 16]);

/// How far a boot has written, as it is deposited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Number of the newest record.
    pub sequence: u64,
    /// See [`crate::marked_head`].
    pub digest: [u8; 32],
}

/// What [`Server::lineage_update`] does.
pub struct Update {
    /// Is shown.
    pub boot: Boot,
    /// Is deposited.
    pub head: Option<Head>,
    /// Slots that the store needs no more, at most 32.
    pub forget: Vec<[u8; 16]>,
    /// Ends the lineage.
    pub close: Option<Closing>,
}

/// The last incarnation of a lineage, and its head.
pub struct Closing {
    /// Above all others.
    pub last: Boot,
    /// Of that boot.
    pub head: Head,
}

impl Update {
    /// Canonical bytes of the update, and its fields.
    pub fn content(&self) -> (Vec<u8>, Map<String, Value>) {
        let mut fields = boot_fields(self.boot);
        let slots: Vec<Value> = self.forget.iter().map(|slot| to_hex(slot).into()).collect();
        fields.insert("forget".into(), slots.into());
        let mut bytes = boot_bytes(self.boot);
        match self.head {
            None => bytes.push(0),
            Some(head) => {
                bytes.extend(head_bytes(head));
                fields.insert("head".into(), head_field(head));
            }
        }
        bytes.push(self.forget.len() as u8);
        bytes.extend(self.forget.concat());
        match &self.close {
            None => bytes.push(0),
            Some(Closing { last, head }) => {
                bytes.push(1);
                bytes.extend(boot_bytes(*last));
                bytes.extend(head_bytes(*head));
                let mut end = boot_fields(*last);
                end.insert("head".into(), head_field(*head));
                fields.insert("close".into(), end.into());
            }
        }
        (bytes, fields)
    }
}

/// Whether `lineage` of an answer says that this boot has the number that it wished for.
pub fn has_reserved(lineage: &Value, (number, boot): Boot) -> bool {
    let told = array_of_hex::<16>(lineage["reservedBoot"].as_str().unwrap_or_default());
    let is_own = told.is_ok_and(|told| told[..8] == boot[..8]);
    lineage["closed"] == false && lineage["reserved"] == number && is_own
}

/// Whether `lineage` of an answer shows this boot as the newest one.
pub fn shows(lineage: &Value, (number, boot_id): Boot) -> bool {
    let told = array_of_hex::<16>(lineage["bootId"].as_str().unwrap_or_default());
    lineage["closed"] == false && lineage["incarnation"] == number && told.is_ok_and(|told| told == boot_id)
}

fn head_bytes(head: Head) -> Vec<u8> {
    [&[1], &head.sequence.to_be_bytes()[..], &head.digest].concat()
}

fn head_field(head: Head) -> Value {
    json!({ "sequence": head.sequence, "digest": to_hex(&head.digest) })
}

fn boot_bytes((number, boot_id): Boot) -> Vec<u8> {
    [&number.to_be_bytes()[..], &boot_id].concat()
}

fn boot_fields((number, boot_id): Boot) -> Map<String, Value> {
    let fields = [("incarnation", number.into()), ("bootId", to_hex(&boot_id).into())];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn read_json(answer: ureq::Response) -> Result<Value, Error> {
    let mut text = Vec::new();
    let mut reader = answer.into_reader().take(MAX_ANSWER_BYTES + 1);
    reader.read_to_end(&mut text).map_err(|error| Error::Unreachable(error.to_string()))?;
    if text.len() as u64 > MAX_ANSWER_BYTES {
        return broken("the answer is too large");
    }
    serde_json::from_slice(&text).or_else(|_| broken("the answer is no JSON"))
}
