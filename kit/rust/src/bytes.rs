use crate::{broken, Error};
use base64::{engine::general_purpose::STANDARD, Engine};
use blake2::{Blake2b512, Digest};
use serde_json::{Map, Value};

/// `0x` and lower-case hex.
pub fn to_hex(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

/// Random bytes of the operating system.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::getrandom(&mut bytes).expect("the operating system has random bytes");
    bytes
}

/// `0x` and exactly N bytes.
pub fn array_of_hex<const N: usize>(text: &str) -> Result<[u8; N], Error> {
    // Into the array itself: a secret leaves nothing on the heap.
    let mut array = [0; N];
    let digits = text.strip_prefix("0x").unwrap_or_default();
    match hex::decode_to_slice(digits, &mut array) {
        Ok(()) if text.starts_with("0x") => Ok(array),
        _ => broken(format!("a value must be {N} bytes of 0x hex")),
    }
}

/// An account: SS58 with prefix 42, or `0x` hex.
pub fn account(text: &str) -> Result<[u8; 32], Error> {
    if text.starts_with("0x") {
        return array_of_hex(text);
    }
    let raw = bs58::decode(text).into_vec().unwrap_or_default();
    if raw.len() != 35 || raw[0] != 42 {
        return broken("an account must be SS58 with prefix 42, or 0x hex");
    }
    let mut hash = Blake2b512::new();
    hash.update(b"SS58PRE");
    hash.update(&raw[..33]);
    if hash.finalize()[..2] != raw[33..] {
        return broken("the checksum of an account is wrong");
    }
    Ok(raw[1..33].try_into().expect("32 bytes"))
}

/// Canonical base64 only: the crate refuses missing padding, spaces and trailing bits.
pub(crate) fn base64_of(text: &str) -> Result<Vec<u8>, Error> {
    STANDARD.decode(text).or_else(|_| broken("a value must be canonical base64"))
}

/// Base64, padded.
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Fields of an object. Unknown fields are refused, and so are missing ones.
pub(crate) struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    pub(crate) fn of(value: &'a Value, required: &[&str], optional: &[&str]) -> Result<Self, Error> {
        let Some(map) = value.as_object() else {
            return broken("an object is expected");
        };
        if let Some(name) = required.iter().find(|name| !map.contains_key(**name)) {
            return broken(format!("{name} is missing"));
        }
        let known = |name: &str| required.contains(&name) || optional.contains(&name);
        match map.keys().find(|name| !known(name)) {
            Some(_) => broken("there is an unknown field"),
            None => Ok(Fields(map)),
        }
    }

    /// Fields of an object that may have others too.
    pub(crate) fn some(value: &'a Value) -> Result<Self, Error> {
        value.as_object().map_or_else(|| broken("an object is expected"), |map| Ok(Fields(map)))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name)
    }

    pub(crate) fn text(&self, name: &str) -> Result<&'a str, Error> {
        self.get(name).and_then(Value::as_str).map_or_else(|| broken(format!("{name} must be text")), Ok)
    }

    pub(crate) fn bytes<const N: usize>(&self, name: &str) -> Result<[u8; N], Error> {
        array_of_hex(self.text(name)?)
    }

    pub(crate) fn integer(&self, name: &str) -> Result<u64, Error> {
        match self.get(name).and_then(Value::as_u64) {
            Some(number) if number < 1 << 53 => Ok(number),
            _ => broken(format!("{name} must be a whole number below 2^53")),
        }
    }

    pub(crate) fn boolean(&self, name: &str) -> Result<bool, Error> {
        self.get(name).and_then(Value::as_bool).map_or_else(|| broken(format!("{name} must be true or false")), Ok)
    }
}
