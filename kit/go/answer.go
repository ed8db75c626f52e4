package latchkey

import (
	"crypto/hmac"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
)

// Grant is what a server releases. Wipe it when it is not needed any more.
type Grant struct {
	// Key is the server key, 32 bytes.
	Key []byte
	// RecoveryToken has 32 bytes, only with intent create.
	RecoveryToken []byte
	// KeyID names the key without telling it.
	KeyID []byte
	// Created says whether this request made the key.
	Created      bool
	ServerTimeMs uint64
	// Lineage is nil for a new slot and a plain key.
	Lineage *Lineage
}

// String and GoString print no secret.
func (g Grant) String() string   { return fmt.Sprintf("Grant{%x}", g.KeyID) }
func (g Grant) GoString() string { return g.String() }

// Wipe overwrites the secrets. Copies that Go's runtime made are out of reach.
func (g Grant) Wipe() {
	clear(g.Key)
	clear(g.RecoveryToken)
}

// Lineage is what a server knows of the client's store.
type Lineage struct {
	Reserved    Boot
	Incarnation Boot
	// Head is nil when the server knows none; HeadOf is the boot that wrote it.
	Head   *Head
	HeadOf Boot
	Slots  [][]byte
	Closed bool
}

// State is what an answer says of a server.
type State struct {
	InstanceID   []byte
	ServerTimeMs uint64
	Draining     bool
	// Lineage is nil for a slot that is not linked.
	Lineage *Lineage
	// Erased is said by forget alone; false: the server kept the key, because a newer boot needs it.
	Erased bool
}

func readGrant(plaintext []byte) (*Grant, error) {
	defer clear(plaintext)
	required := []string{"key", "keyId", "created", "createdAtMs", "serverTimeMs", "finalized"}
	found, err := readFields(plaintext, required, []string{"recoveryToken", "lineage", "extensions"})
	if err != nil {
		return nil, err
	}
	block, err := readFields(found["finalized"], []string{"number", "hash"}, nil)
	if err != nil {
		return nil, err
	}
	r := reader{fields: block}
	r.integer("number")
	r.bytes("hash", 32)
	r.fields = found
	grant := &Grant{
		Key:          r.bytes("key", 32),
		KeyID:        r.bytes("keyId", 16),
		Created:      r.boolean("created"),
		ServerTimeMs: r.integer("serverTimeMs"),
	}
	r.integer("createdAtMs")
	if _, isThere := found["recoveryToken"]; isThere {
		grant.RecoveryToken = r.bytes("recoveryToken", 32)
	}
	if r.err != nil {
		return nil, r.err
	}
	if grant.Lineage, _, err = readLineage(found); err != nil {
		return nil, err
	}
	_, err = extensionBytes(found)
	return grant, err
}

// reader keeps the first error, so that many fields can be read in a row.
type reader struct {
	fields fields
	err    error
}

func (r *reader) bytes(name string, length int) []byte {
	value, err := r.fields.bytes(name, length)
	r.keep(err)
	return value
}

func (r *reader) integer(name string) uint64 {
	value, err := r.fields.integer(name)
	r.keep(err)
	return value
}

func (r *reader) boolean(name string) bool {
	value, err := r.fields.boolean(name)
	r.keep(err)
	return value
}

func (r *reader) boot() Boot {
	return Boot{Number: r.integer("incarnation"), ID: r.bytes("bootId", 16)}
}

func (r *reader) keep(err error) {
	if r.err == nil {
		r.err = err
	}
}

func bit(value bool) []byte {
	if value {
		return []byte{1}
	}
	return []byte{0}
}

func bootBytes(boot Boot) []byte { return concat(u64(boot.Number), boot.ID) }

func headBytes(head *Head) []byte {
	if head == nil {
		return []byte{0}
	}
	return concat([]byte{1}, u64(head.Sequence), head.Digest)
}

// readLineage reads the field `lineage` of an answer, and its canonical bytes.
func readLineage(answer fields) (*Lineage, []byte, error) {
	raw, isThere := answer["lineage"]
	if !isThere {
		return nil, []byte{0}, nil
	}
	required := []string{"reserved", "reservedBoot", "incarnation", "bootId", "slots", "closed"}
	found, err := readFields(raw, required, []string{"head"})
	if err != nil {
		return nil, nil, err
	}
	r := reader{fields: found}
	lineage := &Lineage{
		Reserved:    Boot{Number: r.integer("reserved"), ID: r.bytes("reservedBoot", 16)},
		Incarnation: r.boot(),
		Closed:      r.boolean("closed"),
	}
	head := []byte{0}
	if rawHead, isThere := found["head"]; isThere {
		told, err := readFields(rawHead, []string{"incarnation", "bootId", "sequence", "digest"}, nil)
		if err != nil {
			return nil, nil, err
		}
		r.fields = told
		lineage.HeadOf = r.boot()
		lineage.Head = &Head{Sequence: r.integer("sequence"), Digest: r.bytes("digest", 32)}
		head = concat([]byte{1}, bootBytes(lineage.HeadOf), u64(lineage.Head.Sequence), lineage.Head.Digest)
	}
	if r.err != nil {
		return nil, nil, r.err
	}
	var slots []string
	if json.Unmarshal(found["slots"], &slots) != nil || slots == nil || len(slots) > 32 {
		return nil, nil, broken("slots must be a list of at most 32")
	}
	for _, text := range slots {
		slot, err := FromHex(text, 16)
		if err != nil {
			return nil, nil, err
		}
		lineage.Slots = append(lineage.Slots, slot)
	}
	return lineage, concat(
		[]byte{1},
		bootBytes(lineage.Reserved),
		bootBytes(lineage.Incarnation),
		head,
		slotBytes(lineage.Slots),
		bit(lineage.Closed),
	), nil
}

func slotBytes(slots [][]byte) []byte {
	return append([]byte{byte(len(slots))}, slices.Concat(slots...)...)
}

var extensionName = regexp.MustCompile(`^[a-z][A-Za-z0-9]{0,31}$`)

// extensionBytes are the canonical bytes of `extensions`: names that are not known are covered, and otherwise ignored.
func extensionBytes(answer fields) ([]byte, error) {
	raw, isThere := answer["extensions"]
	if !isThere {
		return u16(0), nil
	}
	var found map[string]string
	if json.Unmarshal(raw, &found) != nil || len(found) < 1 || len(found) > 8 {
		return nil, broken("extensions must be an object of 1 to 8 names")
	}
	names := make([]string, 0, len(found))
	for name := range found {
		names = append(names, name)
	}
	slices.Sort(names)
	result := u16(len(names))
	for _, name := range names {
		value, err := fromBase64(found[name])
		if err != nil {
			return nil, err
		}
		if !extensionName.MatchString(name) || len(value) < 1 || len(value) > 4096 {
			return nil, broken("an extension has a bad name or length")
		}
		result = concat(result, []byte{byte(len(name))}, []byte(name), u16(len(value)), value)
	}
	return result, nil
}

// CheckAnswer reads the answer of a route with a MAC. It fails unless the server holds the key and said exactly this.
func CheckAnswer(route string, key, requestMAC, answer []byte) (*State, error) {
	required := []string{"instanceId", "serverTimeMs", "draining", "mac"}
	if route == "forget" {
		required = append(required, "erased")
	}
	found, err := readFields(answer, required, []string{"lineage", "extensions"})
	if err != nil {
		return nil, err
	}
	r := reader{fields: found}
	state := &State{
		InstanceID:   r.bytes("instanceId", 16),
		ServerTimeMs: r.integer("serverTimeMs"),
		Draining:     r.boolean("draining"),
	}
	var content []byte
	if route == "forget" {
		state.Erased = r.boolean("erased")
		content = bit(state.Erased)
	}
	said := r.bytes("mac", 32)
	if r.err != nil {
		return nil, r.err
	}
	lineage, lineageBytes, err := readLineage(found)
	if err != nil {
		return nil, err
	}
	extensions, err := extensionBytes(found)
	if err != nil {
		return nil, err
	}
	state.Lineage = lineage
	content = concat(content, state.InstanceID, u64(state.ServerTimeMs), bit(state.Draining), lineageBytes, extensions)
	expected := HMAC(Derive(key, []byte("latchkey/v1/"+route+"/response")), requestMAC, content)
	if !hmac.Equal(expected, said) {
		return nil, broken("the MAC of the answer is wrong")
	}
	return state, nil
}
