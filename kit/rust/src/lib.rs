//! Client of Latchkey's key protocol, version 1 (`docs/protocol.md`).
//!
//! [`obtain`] is the whole exchange with up to 16 servers; [`Server`] has the routes with a MAC; [`Agent`] is the agent of
//! a Latchkey in the same TD.
//!
//! Keys, recovery tokens, keys derived from them, ephemeral secrets, fragments and values are wiped when they are dropped.
//! Not wiped is what neither this crate nor its caller can reach: copies that a move leaves behind, the inner state of
//! hash functions and ciphers, and buffers of serde_json.
#![deny(missing_docs)]

#[cfg(unix)]
mod agent;
mod answer;
mod bytes;
mod hpke_auth;
mod obtain;
mod refusal;
mod server;

#[cfg(unix)]
pub use agent::{Agent, DecryptionInputs, Fragment};
pub use answer::{check_answer_mac, Grant};
pub use bytes::{account, array_of_hex, random, to_hex};
pub use hpke_auth::EphemeralKey;
pub use obtain::{obtain, request_report_data, Entry, Intent, Wish, NO_SLOT};
pub use server::{has_reserved, shows, Boot, Closing, Head, Server, Update};

use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use std::time::Duration;
use zeroize::Zeroizing;

/// What can go wrong with one server.
#[derive(Debug)]
pub enum Error {
    /// The answer is not what the protocol allows: another party made or changed it. Ask another server.
    Protocol(String),
    /// The server refused. Errors are not authenticated: a hint, never a reason to give up a slot.
    Refused {
        /// Status of the answer.
        status: u16,
        /// Stable code; match on it.
        code: String,
        /// For people: at most 300 characters, without control characters; so are `field` and `hint`.
        detail: String,
        /// What of the request is wrong.
        field: Option<String>,
        /// What to do.
        hint: Option<String>,
        /// How long to wait, at most a day.
        retry_after: Option<Duration>,
    },
    /// The server, the agent or the source of quotes cannot be reached.
    Unreachable(String),
    /// A newer boot of this node has shown itself, or has reserved the number: this one must not write.
    Replaced(String),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Protocol(reason) => write!(f, "not the protocol: {reason}"),
            Error::Refused { status, code, detail, .. } => write!(f, "refused: {status} {code} {detail}"),
            Error::Unreachable(reason) => write!(f, "unreachable: {reason}"),
            Error::Replaced(reason) => write!(f, "replaced: {reason}"),
        }
    }
}

impl std::error::Error for Error {}

pub(crate) fn broken<T>(reason: impl Into<String>) -> Result<T, Error> {
    Err(Error::Protocol(reason.into()))
}

/// HMAC-SHA-256.
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// HKDF-SHA-256 with the empty salt, 32 bytes.
pub fn derive(key: &[u8], info: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, key).expand(info, out.as_mut()).expect("32 bytes are a valid length");
    out
}

/// What one server knows of the client's store.
pub fn lineage_key_of(lineage_secret: &[u8; 32], server: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    derive(lineage_secret, &[b"latchkey/v1/lineage", server.as_slice()].concat())
}

/// Names the lineage at the server that has this key.
pub fn lineage_id_of(lineage_key: &[u8; 32]) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(b"latchkey/v1/lineage-id");
    hash.update(lineage_key);
    let mut id = [0; 16];
    id.copy_from_slice(&hash.finalize()[..16]);
    id
}

/// The boot id that no server can invent; `boot` are 8 random bytes of this boot.
pub fn marked_boot(lineage_secret: &[u8; 32], number: u64, boot: &[u8; 8]) -> [u8; 16] {
    marked(lineage_secret, b"latchkey/v1/mark/incarnation", number, boot)
}

/// The 16 bytes of a reservation. A server that sees them cannot show the incarnation.
pub fn reserved_boot(lineage_secret: &[u8; 32], number: u64, boot: &[u8; 8]) -> [u8; 16] {
    marked(lineage_secret, b"latchkey/v1/mark/reservation", number, boot)
}

/// The digest to deposit: the first 16 bytes of the log's own digest, and their mark.
pub fn marked_head(lineage_secret: &[u8; 32], boot: Boot, sequence: u64, log_digest: &[u8; 16]) -> Head {
    let key = derive(lineage_secret, b"latchkey/v1/mark/head");
    let mark = hmac_sha256(&*key, &[&boot.0.to_be_bytes(), &boot.1, &sequence.to_be_bytes(), log_digest]);
    let mut digest = [0; 32];
    digest[..16].copy_from_slice(log_digest);
    digest[16..].copy_from_slice(&mark[..16]);
    Head { sequence, digest }
}

fn marked(lineage_secret: &[u8; 32], label: &[u8], number: u64, boot: &[u8; 8]) -> [u8; 16] {
    let key = derive(lineage_secret, label);
    let mark = hmac_sha256(&*key, &[&number.to_be_bytes(), boot]);
    let mut id = [0; 16];
    id[..8].copy_from_slice(boot);
    id[8..].copy_from_slice(&mark[..8]);
    id
}
