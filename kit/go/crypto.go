package latchkey

import (
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"golang.org/x/crypto/chacha20poly1305"
)

func concat(parts ...[]byte) []byte { return slices.Concat(parts...) }

func u16(value int) []byte    { return binary.BigEndian.AppendUint16(nil, uint16(value)) }
func u64(value uint64) []byte { return binary.BigEndian.AppendUint64(nil, value) }

// HMAC is HMAC-SHA-256 over the parts, one after the other.
func HMAC(key []byte, parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, key)
	for _, part := range parts {
		mac.Write(part)
	}
	return mac.Sum(nil)
}

func expand(secret, info []byte, length int) []byte {
	key, err := hkdf.Expand(sha256.New, secret, string(info), length)
	if err != nil {
		panic(err) // Only lengths above 8,160 bytes are refused.
	}
	return key
}

// Derive is HKDF-SHA-256 with the empty salt, 32 bytes.
func Derive(key, info []byte) []byte { return expand(HMAC(make([]byte, 32), key), info, 32) }

// LineageKey is what one server knows of the client's store.
func LineageKey(lineageSecret, server []byte) []byte {
	return Derive(lineageSecret, concat([]byte("latchkey/v1/lineage"), server))
}

// LineageID names the lineage at the server that has this key.
func LineageID(lineageKey []byte) []byte {
	hash := sha256.Sum256(concat([]byte("latchkey/v1/lineage-id"), lineageKey))
	return hash[:16]
}

// Boot is one start of the node: its number, and its 16 bytes, in an incarnation or in a reservation.
type Boot struct {
	Number uint64
	ID     []byte
}

// MarkedBoot is the incarnation that no server can invent; random are 8 random bytes of this boot.
func MarkedBoot(lineageSecret []byte, number uint64, random []byte) Boot {
	return marked(lineageSecret, "latchkey/v1/mark/incarnation", number, random)
}

// ReservedBoot is the reservation of a boot. A server that sees it cannot show the incarnation.
func ReservedBoot(lineageSecret []byte, number uint64, random []byte) Boot {
	return marked(lineageSecret, "latchkey/v1/mark/reservation", number, random)
}

func marked(lineageSecret []byte, label string, number uint64, random []byte) Boot {
	mark := HMAC(Derive(lineageSecret, []byte(label)), u64(number), random)
	return Boot{Number: number, ID: concat(random, mark[:8])}
}

// Head is how far a boot has written, as it is deposited.
type Head struct {
	Sequence uint64
	Digest   []byte
}

// MarkedHead is a head that no server can invent: the first 16 bytes of the log's own digest, and their mark. It fails with
// ArgumentError for a shorter digest.
func MarkedHead(lineageSecret []byte, boot Boot, sequence uint64, logDigest []byte) (Head, error) {
	if len(logDigest) < 16 {
		return Head{}, &ArgumentError{Reason: "the digest of a log has at least 16 bytes"}
	}
	part := logDigest[:16]
	key := Derive(lineageSecret, []byte("latchkey/v1/mark/head"))
	mark := HMAC(key, u64(boot.Number), boot.ID, u64(sequence), part)
	return Head{Sequence: sequence, Digest: concat(part, mark[:16])}, nil
}

const linkLabel = "latchkey/v1/lineage/link"

// sealLineageKey seals under the server key, bound to the slot.
func sealLineageKey(key, lineageKey, server, client, slotID, nonce []byte) []byte {
	cipher, err := chacha20poly1305.NewX(Derive(key, []byte(linkLabel)))
	if err != nil {
		panic(err) // Only another length of the key is refused.
	}
	return cipher.Seal(slices.Clone(nonce), nonce, lineageKey, concat([]byte(linkLabel), server, client, slotID))
}

// EphemeralKey is the X25519 key pair of one request.
type EphemeralKey struct{ secret *ecdh.PrivateKey }

// NewEphemeralKey makes one for one request alone.
func NewEphemeralKey() EphemeralKey {
	secret, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		panic(err) // Only without random bytes.
	}
	return EphemeralKey{secret}
}

// Public has 32 bytes.
func (k EphemeralKey) Public() []byte { return k.secret.PublicKey().Bytes() }

// HPKE (RFC 9180), mode_auth, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305, single shot.
var (
	kemSuite  = concat([]byte("KEM"), u16(0x0020))
	hpkeSuite = concat([]byte("HPKE"), u16(0x0020), u16(0x0001), u16(0x0003))
)

const modeAuth = 2

func labeledExtract(suite, salt []byte, label string, secret []byte) []byte {
	if len(salt) == 0 {
		salt = make([]byte, 32)
	}
	return HMAC(salt, []byte("HPKE-v1"), suite, []byte(label), secret)
}

func labeledExpand(suite, secret []byte, label string, info []byte, length int) []byte {
	return expand(secret, concat(u16(length), []byte("HPKE-v1"), suite, []byte(label), info), length)
}

func (k EphemeralKey) open(sender, enc, info, aad, ciphertext []byte) ([]byte, error) {
	refused := broken("the answer does not open: the server is an impostor")
	var secrets []byte
	for _, public := range [][]byte{enc, sender} {
		point, err := ecdh.X25519().NewPublicKey(public)
		if err != nil {
			return nil, refused
		}
		secret, err := k.secret.ECDH(point) // Refuses points of small order.
		if err != nil {
			return nil, refused
		}
		secrets = append(secrets, secret...)
	}
	prk := labeledExtract(kemSuite, nil, "eae_prk", secrets)
	shared := labeledExpand(kemSuite, prk, "shared_secret", concat(enc, k.Public(), sender), 32)
	context := concat(
		[]byte{modeAuth},
		labeledExtract(hpkeSuite, nil, "psk_id_hash", nil),
		labeledExtract(hpkeSuite, nil, "info_hash", info),
	)
	secret := labeledExtract(hpkeSuite, shared, "secret", nil)
	cipher, err := chacha20poly1305.New(labeledExpand(hpkeSuite, secret, "key", context, 32))
	if err != nil {
		panic(err) // Only another length of the key is refused.
	}
	opened, err := cipher.Open(nil, labeledExpand(hpkeSuite, secret, "base_nonce", context, 12), ciphertext, aad)
	if err != nil {
		return nil, refused
	}
	return opened, nil
}
