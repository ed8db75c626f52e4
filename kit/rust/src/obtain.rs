use crate::bytes::{to_base64, to_hex};
use crate::server::CHALLENGE_LIMIT;
use crate::{broken, hmac_sha256, EphemeralKey, Error, Grant, Server};
use serde_json::{json, Value};
use sha2::{Digest, Sha512};
use std::sync::{mpsc, Arc};
use std::thread;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

const MAX_SERVERS: usize = 16;
/// An answer is not awaited for longer, whatever the timeout of a server is.
const LONGEST: Duration = Duration::from_secs(86_400);
/// The slot id of the plain key.
pub const NO_SLOT: [u8; 16] = [0; 16];

/// What a client wants to do with the server key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// The account's one plain key.
    GetOrCreate,
    /// A new key under a new slot id.
    Create,
    /// The key that is there.
    Recover,
}

impl Intent {
    fn name(self) -> &'static str {
        match self {
            Intent::GetOrCreate => "get-or-create",
            Intent::Create => "create",
            Intent::Recover => "recover",
        }
    }
}

/// A server with its challenge, as the quote names it.
pub struct Entry {
    /// Account of the server.
    pub server: [u8; 32],
    /// Its challenge.
    pub nonce: [u8; 32],
    /// Zero for the plain key.
    pub slot_id: [u8; 16],
}

/// 64 bytes for the quote; the entries in any order, 1 to 16, no server twice.
pub fn request_report_data(client: &[u8; 32], ephemeral: &[u8; 32], intent: Intent, entries: &[Entry]) -> [u8; 64] {
    let mut ascending: Vec<&Entry> = entries.iter().collect();
    ascending.sort_by_key(|entry| entry.server);
    let mut hash = Sha512::new();
    hash.update(b"latchkey/v1/request");
    hash.update(client);
    hash.update(ephemeral);
    hash.update([intent as u8]);
    hash.update((ascending.len() as u16).to_be_bytes());
    for entry in ascending {
        hash.update(entry.server);
        hash.update(entry.nonce);
        hash.update(entry.slot_id);
    }
    hash.finalize().into()
}

/// What is wanted of one server.
pub struct Wish<'a> {
    /// Whom to ask.
    pub server: &'a Server,
    /// [`NO_SLOT`] for the plain key.
    pub slot_id: [u8; 16],
    /// To prove that the key is the client's own.
    pub recovery_token: Option<Zeroizing<[u8; 32]>>,
}

type Call<T> = Box<dyn FnOnce() -> Result<T, Error> + Send>;

/// What each call gives, in a thread of its own. A call that is not done within `limit` is given up; its thread ends by
/// itself.
fn at_once<T: Send + 'static>(limit: Duration, calls: Vec<Call<T>>) -> Vec<Result<T, Error>> {
    let end = Instant::now() + limit.min(LONGEST);
    let unreachable = |reason: String| Err(Error::Unreachable(reason));
    let mut results: Vec<_> = calls.iter().map(|_| unreachable("no answer in time".into())).collect();
    let (sender, receiver) = mpsc::channel();
    for (at, call) in calls.into_iter().enumerate() {
        let sender = sender.clone();
        let started = thread::Builder::new().spawn(move || {
            // Nobody listens any more when the call was given up.
            let _ = sender.send((at, call()));
        });
        if let Err(error) = started {
            results[at] = unreachable(error.to_string());
        }
    }
    drop(sender);
    // Ends early when all threads have ended.
    while let Ok((at, result)) = receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
        results[at] = result;
    }
    results
}

/// The whole exchange: challenges of all servers at once, one quote, one request each at once. No server stops another:
/// challenges are awaited for at most 20 seconds, and a server without a challenge is left out of the quote.
///
/// `wishes` are 1 to 16, of different servers. `quote` makes a TDX quote with these 64 bytes of report data.
pub fn obtain(
    client: &[u8; 32],
    intent: Intent,
    wishes: &[Wish],
    quote: impl FnOnce(&[u8; 64]) -> Result<Vec<u8>, Error>,
) -> Result<Vec<Result<Grant, Error>>, Error> {
    obtain_within(CHALLENGE_LIMIT, client, intent, wishes, quote)
}

fn obtain_within(
    challenge_limit: Duration,
    client: &[u8; 32],
    intent: Intent,
    wishes: &[Wish],
    quote: impl FnOnce(&[u8; 64]) -> Result<Vec<u8>, Error>,
) -> Result<Vec<Result<Grant, Error>>, Error> {
    let is_repeated = |at: usize| wishes[..at].iter().any(|earlier| earlier.server.account == wishes[at].server.account);
    if !(1..=MAX_SERVERS).contains(&wishes.len()) || (0..wishes.len()).any(is_repeated) {
        return broken("1 to 16 servers can be asked at once, each once");
    }
    let ephemeral = Arc::new(EphemeralKey::generate());
    let client = *client;
    let patience = wishes.iter().map(|wish| wish.server.timeout).max().unwrap_or_default();
    let challenge = |wish: &Wish| -> Call<[u8; 32]> {
        let (server, ephemeral) = (wish.server.clone(), ephemeral.clone());
        Box::new(move || server.challenge(&client, ephemeral.public()))
    };
    let nonces = at_once(patience.min(challenge_limit), wishes.iter().map(challenge).collect());
    let challenged = wishes.iter().zip(&nonces).filter_map(|(wish, nonce)| {
        let nonce = *nonce.as_ref().ok()?;
        Some(Entry { server: wish.server.account, nonce, slot_id: wish.slot_id })
    });
    let entries: Vec<Entry> = challenged.collect();
    if entries.is_empty() {
        return Ok(nonces.into_iter().filter_map(Result::err).map(Err).collect());
    }
    let report_data = request_report_data(&client, ephemeral.public(), intent, &entries);
    let servers: Vec<Value> = entries
        .iter()
        .map(|entry| json!({ "server": to_hex(&entry.server), "nonce": to_hex(&entry.nonce), "slotId": to_hex(&entry.slot_id) }))
        .collect();
    let body = json!({
        "accountId": to_hex(&client),
        "ephemeralPublicKey": to_hex(ephemeral.public()),
        "intent": intent.name(),
        "servers": servers,
        "quote": to_base64(&quote(&report_data)?),
    });
    let ask = |(wish, nonce): (&Wish, Result<[u8; 32], Error>)| -> Call<Grant> {
        if let Err(error) = nonce {
            return Box::new(|| Err(error));
        }
        let (server, ephemeral, mut own) = (wish.server.clone(), ephemeral.clone(), body.clone());
        if let Some(token) = &wish.recovery_token {
            own["recoveryProof"] = to_hex(&hmac_sha256(&**token, &[&report_data])).into();
        }
        let has_token = wish.recovery_token.is_some();
        Box::new(move || {
            let answer = server.post("/request-encryption-key", &own)?;
            let grant = server.open_answer(&answer, &ephemeral, &client, &report_data)?;
            let is_fresh = grant.recovery_token.is_some() && (grant.created || has_token);
            if intent == Intent::Create && !is_fresh {
                return broken("a created key is not fresh, or came without its recovery token");
            }
            Ok(grant)
        })
    };
    Ok(at_once(patience, wishes.iter().zip(nonces).map(ask).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A challenge lives for 60 seconds, and the timeout of a server may be longer.
    #[test]
    fn challenges_do_not_expire_while_others_are_awaited() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        let server = Server::with_timeout(&url, [1; 32], [0; 32], Duration::from_secs(3_600));
        let wish = Wish { server: &server, slot_id: NO_SLOT, recovery_token: None };
        let limit = Duration::from_millis(100);
        let results = obtain_within(limit, &[9; 32], Intent::GetOrCreate, &[wish], |_| Ok(vec![])).unwrap();
        assert!(matches!(results[..], [Err(Error::Unreachable(_))]));
    }
}
