use crate::bytes_of;
use finality_grandpa::voter_set::VoterSet;
use finality_grandpa::{validate_commit, Chain, Commit, Error, Message};
use parity_scale_codec::{Compact, Decode, DecodeAll, Encode};
use sp_core::crypto::Pair as _;
use sp_core::ed25519;
use sp_crypto_hashing::blake2_256;
use std::collections::{HashMap, HashSet};

type Hash = [u8; 32];
type Number = u32;

/// `sp_runtime::generic::DigestItem`.
#[derive(Encode, Decode)]
enum DigestItem {
    #[codec(index = 0)]
    Other(Vec<u8>),
    #[codec(index = 4)]
    Consensus([u8; 4], Vec<u8>),
    #[codec(index = 5)]
    Seal([u8; 4], Vec<u8>),
    #[codec(index = 6)]
    PreRuntime([u8; 4], Vec<u8>),
    #[codec(index = 8)]
    RuntimeEnvironmentUpdated,
}

/// `sp_runtime::generic::Header<u32, BlakeTwo256>`.
#[derive(Encode, Decode)]
struct Header {
    parent_hash: Hash,
    number: Compact<Number>,
    state_root: Hash,
    extrinsics_root: Hash,
    digest: Vec<DigestItem>,
}

impl Header {
    fn hash(&self) -> Hash {
        blake2_256(&self.encode())
    }
}

/// `sp_consensus_grandpa::GrandpaJustification`.
#[derive(Decode)]
struct Justification {
    round: u64,
    commit: Commit<Hash, Number, ed25519::Signature, ed25519::Public>,
    votes_ancestries: Vec<Header>,
}

/// `sc_consensus_grandpa::justification::AncestryChain`.
struct AncestryChain(HashMap<Hash, Header>);

impl Chain<Hash, Number> for AncestryChain {
    fn ancestry(&self, base: Hash, block: Hash) -> Result<Vec<Hash>, Error> {
        let mut route = Vec::new();
        let mut current = block;
        while current != base {
            let header = self.0.get(&current).ok_or(Error::NotDescendent)?;
            current = header.parent_hash;
            route.push(current);
        }
        route.pop();
        Ok(route)
    }
}

fn voters(authorities: &[&str]) -> Option<VoterSet<ed25519::Public>> {
    VoterSet::new(authorities.iter().map(|authority| {
        let (key, weight) = authority.split_once(':').expect("key:weight");
        let key: [u8; 32] = bytes_of(key).try_into().expect("32 bytes");
        (ed25519::Public::from_raw(key), weight.parse().expect("weight"))
    }))
}

pub fn verdict(set_id: u64, authorities: &[&str], bytes: &[u8]) -> &'static str {
    let Some(voters) = voters(authorities) else { return "set" };
    let Ok(justification) = Justification::decode_all(&mut &bytes[..]) else { return "undecodable" };
    let Justification { round, commit, votes_ancestries } = justification;
    let hashes: HashSet<Hash> = votes_ancestries.iter().map(Header::hash).collect();
    let chain = AncestryChain(votes_ancestries.into_iter().map(|header| (header.hash(), header)).collect());
    match validate_commit(&commit, &voters, &chain) {
        Ok(result) if result.is_valid() => {}
        _ => return "commit",
    }
    let base = commit
        .precommits
        .iter()
        .map(|signed| &signed.precommit)
        .min_by_key(|precommit| precommit.target_number)
        .expect("a valid commit has votes")
        .target_hash;
    let mut visited = HashSet::new();
    for signed in &commit.precommits {
        let message: Message<Hash, Number> = Message::Precommit(signed.precommit.clone());
        let payload = (message, round, set_id).encode();
        if !ed25519::Pair::verify(&signed.signature, payload, &signed.id) {
            return "signature";
        }
        let target = signed.precommit.target_hash;
        if target == base {
            continue;
        }
        let Ok(route) = chain.ancestry(base, target) else { return "ancestry" };
        visited.insert(target);
        visited.extend(route);
    }
    if visited == hashes {
        "valid"
    } else {
        "unused"
    }
}
