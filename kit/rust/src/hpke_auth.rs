use crate::{broken, Error};
use hpke::{aead::ChaCha20Poly1305, kdf::HkdfSha256, kem::X25519HkdfSha256};
use hpke::{Deserializable, Kem, OpModeR, Serializable};

type PrivateKey = <X25519HkdfSha256 as Kem>::PrivateKey;
type PublicKey = <X25519HkdfSha256 as Kem>::PublicKey;
type Encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey;

/// The X25519 key pair of one request.
pub struct EphemeralKey {
    secret: PrivateKey,
    public: [u8; 32],
}

impl EphemeralKey {
    /// Makes one for one request alone.
    pub fn generate() -> Self {
        let (secret, public) = X25519HkdfSha256::gen_keypair(&mut rand_core::OsRng);
        EphemeralKey { secret, public: public.to_bytes().into() }
    }

    /// For tests on vectors.
    pub fn from_secret(secret: &[u8; 32]) -> Result<Self, Error> {
        let secret = PrivateKey::from_bytes(secret).or_else(|_| broken("a secret of X25519 has 32 bytes"))?;
        let public = X25519HkdfSha256::sk_to_pk(&secret).to_bytes().into();
        Ok(EphemeralKey { secret, public })
    }

    /// 32 bytes.
    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// HPKE (RFC 9180), mode_auth, single shot.
    pub(crate) fn open(
        &self,
        sender: &[u8; 32],
        enc: &[u8; 32],
        info: &[u8],
        aad: &[u8],
        ciphertext: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let refused = || Error::Protocol("the answer does not open: the server is an impostor".into());
        let sender = PublicKey::from_bytes(sender).map_err(|_| refused())?;
        let enc = Encapsulated::from_bytes(enc).map_err(|_| refused())?;
        hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Auth(sender),
            &self.secret,
            &enc,
            info,
            ciphertext,
            aad,
        )
        .map_err(|_| refused())
    }
}
