//! The local agent of `latchkey serve`, on its Unix socket (`openapi-agent.json`).
use crate::bytes::{base64_of, to_base64, Fields};
use crate::refusal::refusal;
use crate::{broken, Error};
use serde_json::{json, Value};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{mpsc, Arc};
use std::thread;
use std::time::{Duration, Instant};
use zeroize::{Zeroize, Zeroizing};

/// A value of 16 MiB in base64, and what is around it.
const MAX_ANSWER_BYTES: usize = 24 * 1024 * 1024;
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Threads that wait in `connect` at once.
const MAX_CONNECTING: usize = 8;
/// The kernel takes a piece of this size at once, so that one timeout bounds it.
const WRITE_BYTES: usize = 16 * 1024;

/// The agent of a Latchkey in the same TD. Whoever may open its socket has all its rights.
pub struct Agent {
    socket: PathBuf,
    timeout: Duration,
    connecting: Arc<AtomicUsize>,
}

/// A node's fragment of one ritual. It is wiped when it is dropped, and does not print.
pub struct Fragment {
    /// Unix time in seconds.
    pub timestamp: u64,
    /// What was stored.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// What a share of a threshold decryption is made of.
pub struct DecryptionInputs {
    /// Of this node.
    pub fragment: Fragment,
    /// How many validators have a fragment.
    pub dkg_size: u64,
    /// How many shares open a ciphertext.
    pub threshold: u64,
    /// From the chain.
    pub aggregated_transcript: Vec<u8>,
    /// Of the ritual.
    pub public_key: Vec<u8>,
    /// Address and public key of each validator, in order.
    pub validators: Vec<(String, Vec<u8>)>,
    /// Where this node stands among them, from 0.
    pub position: usize,
}

impl Agent {
    /// Does not connect yet; `timeout` bounds each exchange as a whole.
    pub fn new(socket: impl AsRef<Path>, timeout: Duration) -> Self {
        Agent { socket: socket.as_ref().into(), timeout, connecting: Arc::default() }
    }

    /// The state of the node.
    pub fn status(&self) -> Result<Value, Error> {
        self.ask("GET", "/status", None)
    }

    /// Makes a namespace, or leaves the one that is there.
    pub fn create_namespace(&self, namespace: &str) -> Result<(), Error> {
        self.ask("PUT", &format!("/kv/{}", part(namespace)?), Some(json!({}))).map(drop)
    }

    /// Writes a record. Once it returns, the record is on the disk.
    pub fn put(&self, namespace: &str, name: &str, value: &[u8]) -> Result<(), Error> {
        let body = json!({ "value": to_base64(value) });
        self.ask("PUT", &record(namespace, name)?, Some(body)).map(drop)
    }

    /// Reads a record. [`Error::Refused`] with `STORE_NAME_MISSING` when there is none.
    pub fn get(&self, namespace: &str, name: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut answer = self.ask("GET", &record(namespace, name)?, None)?;
        secret(&mut answer, "value")
    }

    /// Removes a record.
    pub fn delete(&self, namespace: &str, name: &str) -> Result<(), Error> {
        self.ask("DELETE", &record(namespace, name)?, None).map(drop)
    }

    /// Stores the fragment of a ritual; false when the same bytes were stored before.
    pub fn store_fragment(&self, ritual: u64, timestamp: u64, fragment: &[u8]) -> Result<bool, Error> {
        let body = json!({ "timestamp": timestamp, "fragment": to_base64(fragment) });
        let answer = self.ask("PUT", &format!("/rituals/{ritual}"), Some(body))?;
        Fields::some(&answer)?.boolean("written")
    }

    /// The fragment of a ritual, if its conditions allow it.
    pub fn retrieve_fragment(&self, ritual: u64) -> Result<Fragment, Error> {
        fragment(&mut self.ask("GET", &format!("/rituals/{ritual}"), None)?)
    }

    /// Revokes a fragment: destroys the key under which it lies on the disk.
    pub fn delete_fragment(&self, ritual: u64) -> Result<(), Error> {
        self.ask("DELETE", &format!("/rituals/{ritual}"), None).map(drop)
    }

    /// The fragment with all that a share is made of, for an active ritual of this validator; `validator` is the node's
    /// own address, exactly as it was stored.
    pub fn decryption_inputs(&self, ritual: u64, validator: &str) -> Result<DecryptionInputs, Error> {
        let body = json!({ "validator": validator });
        let mut answer = self.ask("POST", &format!("/rituals/{ritual}/decryption"), Some(body))?;
        let fragment = fragment(&mut answer)?;
        let (fields, active) = (Fields::some(&answer)?, Fields::some(&answer["ritual"])?);
        let Some(list) = answer["validators"].as_array() else {
            return broken("validators must be a list");
        };
        let validators = list.iter().map(|one| {
            let one = Fields::some(one)?;
            Ok((one.text("address")?.to_owned(), base64_of(one.text("publicKey")?)?))
        });
        Ok(DecryptionInputs {
            fragment,
            dkg_size: active.integer("dkgSize")?,
            threshold: active.integer("threshold")?,
            aggregated_transcript: base64_of(active.text("aggregatedTranscript")?)?,
            public_key: base64_of(active.text("publicKey")?)?,
            validators: validators.collect::<Result<_, Error>>()?,
            position: fields.integer("position")? as usize,
        })
    }

    fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value, Error> {
        let text = Zeroizing::new(body.map(|body| body.to_string()).unwrap_or_default());
        // HTTP/1.0: the answer comes in one piece, and the connection ends behind it.
        let head = format!("{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n");
        let head = format!("{head}Content-Length: {}\r\n\r\n", text.len());
        let (answer, is_reset) = self.exchange(&[head.as_bytes(), text.as_bytes()])?;
        let (status, content) = split(&answer, is_reset)?;
        let value: Value = serde_json::from_slice(content).or_else(|_| broken("the answer is no JSON"))?;
        match status {
            200 => Ok(value),
            // The agent says when in the problem document, too.
            status => Err(refusal(status, &value, None)),
        }
    }

    /// The bytes of the answer, and whether the connection broke off behind them: the agent may answer and close before it
    /// has read the whole request.
    fn exchange(&self, request: &[&[u8]]) -> Result<(Zeroizing<Vec<u8>>, bool), Error> {
        let failed = |error: std::io::Error| Error::Unreachable(format!("{}: {error}", self.socket.display()));
        let end = Instant::now() + self.timeout;
        let mut stream = self.connect(end).map_err(failed)?;
        // An agent that refuses by the head closes while the content is being sent; its answer is there to be read.
        let mut is_cut = false;
        for piece in request.iter().flat_map(|part| part.chunks(WRITE_BYTES)) {
            stream.set_write_timeout(Some(left(end).map_err(failed)?)).map_err(failed)?;
            match stream.write_all(piece) {
                Err(error) if is_closed(&error) => {
                    is_cut = true;
                    break;
                }
                written => written.map_err(failed)?,
            }
        }
        let mut answer = Zeroizing::new(Vec::new());
        let mut part = Zeroizing::new(vec![0; 64 * 1024]);
        loop {
            stream.set_read_timeout(Some(left(end).map_err(failed)?)).map_err(failed)?;
            match stream.read(&mut part) {
                Ok(0) if is_cut && answer.is_empty() => return Err(failed(ErrorKind::BrokenPipe.into())),
                Ok(0) => return Ok((answer, is_cut)),
                Ok(length) => answer.extend_from_slice(&part[..length]),
                Err(error) if is_closed(&error) && !answer.is_empty() => return Ok((answer, true)),
                Err(error) => return Err(failed(error)),
            }
            if answer.len() > MAX_ANSWER_BYTES {
                return broken("the answer is too large");
            }
        }
    }
}

impl Agent {
    /// Connects in a thread of its own: the standard library waits without a bound while the queue of the socket is full.
    /// A thread that is given up ends when the agent takes its connection, or ends itself.
    fn connect(&self, end: Instant) -> std::io::Result<UnixStream> {
        let waiting = Connecting::new(&self.connecting)?;
        let (sender, receiver) = mpsc::channel();
        let socket = self.socket.clone();
        thread::Builder::new().spawn(move || {
            let connected = UnixStream::connect(socket);
            drop(waiting);
            // Nobody listens any more when the connection was given up.
            let _ = sender.send(connected);
        })?;
        receiver.recv_timeout(left(end)?).unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
    }
}

/// One thread in `connect`.
struct Connecting(Arc<AtomicUsize>);

impl Connecting {
    fn new(count: &Arc<AtomicUsize>) -> std::io::Result<Self> {
        let one = Connecting(count.clone());
        match count.fetch_add(1, Ordering::SeqCst) {
            others if others < MAX_CONNECTING => Ok(one),
            _ => Err(std::io::Error::other("the agent takes no connection")),
        }
    }
}

impl Drop for Connecting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The other side has closed, and will read no more.
fn is_closed(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

/// The time until `end`, or an error after it.
fn left(end: Instant) -> std::io::Result<Duration> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(ErrorKind::TimedOut.into());
    }
    Ok(left)
}

/// Status and content of an answer. The content must be as long as the head says: a connection that broke off is no answer.
fn split(answer: &[u8], is_reset: bool) -> Result<(u16, &[u8]), Error> {
    let head_end = answer.windows(4).take(MAX_HEAD_BYTES).position(|four| four == b"\r\n\r\n");
    let head = head_end.and_then(|end| std::str::from_utf8(&answer[..end]).ok());
    let (Some(end), Some(head)) = (head_end, head) else {
        return broken("the answer is not HTTP");
    };
    let content = &answer[end + 4..];
    let mut lines = head.split("\r\n");
    let status = lines.next().filter(|line| line.starts_with("HTTP/1.")).and_then(|line| line.split(' ').nth(1));
    let Some(status) = status.and_then(|status| status.parse().ok()) else {
        return broken("the answer is not HTTP");
    };
    let mut has_length = false;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let is_length = name.eq_ignore_ascii_case("content-length");
        has_length |= is_length;
        if is_length && value.trim().parse() != Ok(content.len()) {
            return Err(Error::Unreachable("the answer broke off".into()));
        }
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return broken("an answer to HTTP/1.0 has no transfer encoding");
        }
    }
    if is_reset && !has_length {
        return Err(Error::Unreachable("the answer broke off".into()));
    }
    Ok((status, content))
}

fn fragment(answer: &mut Value) -> Result<Fragment, Error> {
    let bytes = secret(answer, "fragment")?;
    Ok(Fragment { timestamp: Fields::some(answer)?.integer("timestamp")?, bytes })
}

/// The bytes of a field, which is wiped in the answer. serde_json's own buffers are out of reach.
fn secret(answer: &mut Value, field: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    match answer.get_mut(field) {
        Some(Value::String(text)) => {
            let bytes = base64_of(text).map(Zeroizing::new);
            text.zeroize();
            bytes
        }
        _ => broken(format!("{field} must be text")),
    }
}

fn record(namespace: &str, name: &str) -> Result<String, Error> {
    Ok(format!("/kv/{}/{}", part(namespace)?, part(name)?))
}

/// One part of a path: all but the unreserved characters of RFC 3986 as `%XX`. HTTP software removes the parts `.` and
/// `..`, and the request then names something else.
fn part(text: &str) -> Result<String, Error> {
    if matches!(text, "" | "." | "..") {
        return Err(Error::InvalidName(text.into()));
    }
    let one = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    Ok(text.bytes().map(one).collect())
}
