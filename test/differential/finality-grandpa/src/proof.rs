use crate::hex_of;
use sp_core::{Blake2Hasher, H256};
use sp_crypto_hashing::blake2_256;
use sp_trie::{
    read_trie_value, LayoutV0, LayoutV1, MemoryDB, StorageProof, TrieConfiguration, TrieDBBuilder, TrieHash,
    TrieLayout,
};

type Database = MemoryDB<Blake2Hasher>;

fn value<L>(database: &Database, root: &TrieHash<L>, key: &[u8]) -> String
where
    L: TrieConfiguration + TrieLayout<Hash = Blake2Hasher>,
{
    match read_trie_value::<L, _>(database, root, key, None, None) {
        Ok(Some(value)) => hex_of(&blake2_256(&value)),
        Ok(None) => "-".into(),
        Err(_) => "!".into(),
    }
}

fn entries<L>(database: &Database, root: &TrieHash<L>, prefix: &[u8]) -> Option<String>
where
    L: TrieConfiguration + TrieLayout<Hash = Blake2Hasher>,
{
    let trie = TrieDBBuilder::<L>::new(database, root).build();
    let mut all = Vec::new();
    for entry in sp_trie::TrieDBIterator::new_prefixed(&trie, prefix).ok()? {
        let (key, value) = entry.ok()?;
        all.extend_from_slice(&(key.len() as u32).to_le_bytes());
        all.extend_from_slice(&key);
        all.extend_from_slice(&(value.len() as u32).to_le_bytes());
        all.extend_from_slice(&value);
    }
    Some(hex_of(&blake2_256(&all)))
}

fn read<L>(root: &[u8], prefix: &[u8], keys: &[Vec<u8>], nodes: Vec<Vec<u8>>) -> String
where
    L: TrieConfiguration + TrieLayout<Hash = Blake2Hasher>,
{
    let root = H256::from_slice(root);
    let database: Database = StorageProof::new(nodes).into_memory_db();
    let mut verdicts: Vec<String> = keys.iter().map(|key| value::<L>(&database, &root, key)).collect();
    verdicts.push(entries::<L>(&database, &root, prefix).unwrap_or_else(|| "!".into()));
    verdicts.join(",")
}

pub fn verdict(is_version_1: bool, root: &[u8], prefix: &[u8], keys: &[Vec<u8>], nodes: Vec<Vec<u8>>) -> String {
    if is_version_1 {
        read::<LayoutV1<Blake2Hasher>>(root, prefix, keys, nodes)
    } else {
        read::<LayoutV0<Blake2Hasher>>(root, prefix, keys, nodes)
    }
}
