//! Judges GRANDPA justifications and storage proofs with the code that Substrate nodes run: `finality-grandpa` and
//! `sp-trie`. Reads one case a line from standard input, writes one verdict a line.
//!
//! `J <set id> <key:weight,…> <justification>`: as `GrandpaJustification::verify_with_voter_set` does it. Verdicts:
//! `valid`, `commit`, `signature`, `ancestry`, `unused`, `undecodable`, `set`.
//! `P <state version> <root> <prefix> <keys,…> <nodes,…>`: each key's verdict, then that of all keys below the prefix,
//! separated by commas; `-` for an absent value, `!` for an error, otherwise BLAKE2b-256 of the value (or the entries).
//! All bytes are hex without `0x`; `_` stands for an empty list,
//! `.` for no bytes.

mod justification;
mod proof;

use std::io::{BufRead, Write};

pub fn bytes_of(hex: &str) -> Vec<u8> {
    if hex == "." {
        return Vec::new();
    }
    (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hex"))
        .collect()
}

pub fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn list_of(text: &str) -> Vec<&str> {
    if text == "_" {
        return Vec::new();
    }
    text.split(',').collect()
}

fn verdict(line: &str) -> String {
    let fields: Vec<&str> = line.split(' ').collect();
    match fields.as_slice() {
        ["J", set_id, authorities, justification] => justification::verdict(
            set_id.parse().expect("set id"),
            &list_of(authorities),
            &bytes_of(justification),
        )
        .to_string(),
        ["P", version, root, prefix, keys, nodes] => {
            let nodes: Vec<Vec<u8>> = list_of(nodes).into_iter().map(bytes_of).collect();
            let keys: Vec<Vec<u8>> = list_of(keys).into_iter().map(bytes_of).collect();
            proof::verdict(version == &"1", &bytes_of(root), &bytes_of(prefix), &keys, nodes)
        }
        _ => panic!("not a case: {line}"),
    }
}

fn main() {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("a line");
        writeln!(out, "{}", verdict(&line)).expect("standard output");
    }
}
