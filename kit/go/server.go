// Package latchkey is a client of Latchkey's key protocol, version 1 (docs/protocol.md).
//
// Obtain is the whole exchange with up to 16 servers; Server has the routes with a MAC; Agent speaks with the agent of a
// Latchkey on the same machine. Nothing is retried.
package latchkey

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

const maxAnswerBytes = 1 << 20

// NoSlot is the slot id of the plain key.
var NoSlot = make([]byte, 16)

// Server is one key server. Account and X25519 key are those of its record on the chain, never what an answer says.
type Server struct {
	// Account has 32 bytes.
	Account []byte
	url     string
	x25519  []byte
	http    *http.Client
}

// NewServer is a server at an address such as http://10.0.0.7:3001; account and key have 32 bytes, and timeout, above zero,
// bounds one answer. Requests to a server of other values end with an ArgumentError.
func NewServer(url string, account, x25519PublicKey []byte, timeout time.Duration) *Server {
	client := &http.Client{
		Timeout: timeout,
		// A redirect, or a proxy of the environment, would send requests to an address that the chain does not name.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{Proxy: nil},
	}
	return &Server{Account: account, url: strings.TrimRight(url, "/"), x25519: x25519PublicKey, http: client}
}

// post returns the JSON of a good answer.
func (s *Server) post(ctx context.Context, path string, body any) ([]byte, error) {
	return exchange(ctx, s.http, http.MethodPost, s.url+path, body, maxAnswerBytes)
}

// exchange reads at most that many bytes of an answer.
func exchange(ctx context.Context, client *http.Client, method, url string, body any, most int64) ([]byte, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, url, content)
	if err != nil {
		return nil, err
	}
	request.Header.Set("content-type", "application/json")
	answer, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("unreachable: %w", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, most+1))
	if err != nil {
		return nil, fmt.Errorf("unreachable: %w", err)
	}
	if int64(len(text)) > most {
		return nil, broken("the answer is too large")
	}
	if answer.StatusCode == http.StatusOK || answer.StatusCode == http.StatusNoContent {
		return text, nil
	}
	return nil, refusal(answer.StatusCode, text, answer.Header.Get("Retry-After"))
}

func (s *Server) isNamed(text string) bool {
	account, err := Account(text)
	return err == nil && bytes.Equal(account, s.Account)
}

func (s *Server) challenge(ctx context.Context, client, ephemeral []byte) ([]byte, error) {
	body := map[string]any{"accountId": ToHex(client), "ephemeralPublicKey": ToHex(ephemeral)}
	answer, err := s.post(ctx, "/challenge", body)
	if err != nil {
		return nil, err
	}
	found, err := readFields(answer, []string{"server", "nonce", "expiresAtMs", "instanceId"}, nil)
	if err != nil {
		return nil, err
	}
	if name, err := found.text("server"); err != nil || !s.isNamed(name) {
		return nil, broken("the address belongs to another server")
	}
	return found.bytes("nonce", 32)
}

// OpenAnswer opens the answer of /request-encryption-key.
func (s *Server) OpenAnswer(answer []byte, ephemeral EphemeralKey, client, reportData []byte) (*Grant, error) {
	found, err := readFields(answer, []string{"server", "instanceId", "enc", "ciphertext"}, nil)
	if err != nil {
		return nil, err
	}
	if name, err := found.text("server"); err != nil || !s.isNamed(name) {
		return nil, broken("the answer names another server")
	}
	r := reader{fields: found}
	instance, enc := r.bytes("instanceId", 16), r.bytes("enc", 32)
	text, err := found.text("ciphertext")
	r.keep(err)
	ciphertext, err := fromBase64(text)
	r.keep(err)
	if r.err != nil {
		return nil, r.err
	}
	info := concat([]byte("latchkey/v1/key"), s.Account, client)
	plaintext, err := ephemeral.open(s.x25519, enc, info, concat(reportData, instance), ciphertext)
	if err != nil {
		return nil, err
	}
	return readGrant(plaintext)
}

// Slot is a key with its slot id, and the account that owns it.
type Slot struct{ Client, ID, Key []byte }

// macRequest sends a request of a route with a MAC, and returns its answer once that MAC is right.
func (s *Server) macRequest(
	ctx context.Context, route string, client, name, key, content []byte, body map[string]any,
) (*State, error) {
	a := arguments{}
	a.server(s)
	a.bytes("the client's account", client, 32)
	a.bytes("the key", key, 32)
	a.bytes("the name", name, 16)
	if a.err != nil {
		return nil, a.err
	}
	timestamp, random := uint64(time.Now().UnixMilli()), Random(16)
	macKey := Derive(key, []byte("latchkey/v1/"+route+"/request"))
	mac := HMAC(macKey, s.Account, client, name, u64(timestamp), random, content)
	nameField := "slotId"
	if strings.HasPrefix(route, "lineage-") {
		nameField = "lineageId"
	}
	body["accountId"], body[nameField] = ToHex(client), ToHex(name)
	body["timestampMs"], body["random"], body["mac"] = timestamp, ToHex(random), ToHex(mac)
	answer, err := s.post(ctx, "/"+route, body)
	if err != nil {
		return nil, err
	}
	return CheckAnswer(route, key, mac, answer)
}

func bootFields(boot Boot) map[string]any {
	return map[string]any{"incarnation": boot.Number, "bootId": ToHex(boot.ID)}
}

// LinkAndConfirm (key-status) links the slot to the lineage and confirms it; without it the key is dropped in an hour.
func (s *Server) LinkAndConfirm(ctx context.Context, slot Slot, lineageSecret []byte, boot Boot) (*State, error) {
	a := arguments{}
	a.slot(slot)
	a.lineage(slot.Client, lineageSecret)
	if a.boot(boot); a.err != nil {
		return nil, a.err
	}
	sealed := sealLineageKey(
		slot.Key, LineageKey(lineageSecret, s.Account), s.Account, slot.Client, slot.ID, Random(24),
	)
	body := bootFields(boot)
	body["confirm"], body["lineage"] = true, ToHex(sealed)
	content := concat([]byte{1, 1}, sealed, bootBytes(boot), make([]byte, 5))
	state, err := s.macRequest(ctx, "key-status", slot.Client, slot.ID, slot.Key, content, body)
	if err != nil {
		return nil, err
	}
	isSlot := func(one []byte) bool { return bytes.Equal(one, slot.ID) }
	if state.Lineage == nil || !slices.ContainsFunc(state.Lineage.Slots, isSlot) {
		return nil, broken("the server did not link the slot")
	}
	return state, nil
}

// Reserve reserves a number for this boot (ReservedBoot). It fails with Replaced when another boot has it.
func (s *Server) Reserve(ctx context.Context, slot Slot, wish Boot) (*State, error) {
	a := arguments{}
	a.slot(slot)
	if a.boot(wish); a.err != nil {
		return nil, a.err
	}
	body := map[string]any{"incarnation": wish.Number, "boot": ToHex(wish.ID)}
	state, err := s.macRequest(ctx, "reserve", slot.Client, slot.ID, slot.Key, bootBytes(wish), body)
	if err != nil {
		return nil, err
	}
	if !state.Lineage.HasReserved(wish) {
		return nil, &Replaced{"another boot has reserved this number"}
	}
	return state, nil
}

// HasReserved says whether this boot has the number that it wished for.
func (l *Lineage) HasReserved(wish Boot) bool {
	if l == nil || len(l.Reserved.ID) != 16 || len(wish.ID) != 16 {
		return false
	}
	return !l.Closed && l.Reserved.Number == wish.Number && bytes.Equal(l.Reserved.ID[:8], wish.ID[:8])
}

// Shows says whether this boot is shown as the newest one.
func (l *Lineage) Shows(boot Boot) bool {
	return l != nil && !l.Closed && l.Incarnation.Number == boot.Number && bytes.Equal(l.Incarnation.ID, boot.ID)
}

// Claim shows this boot. It fails with Replaced when a newer one is shown: then stop writing.
func (s *Server) Claim(ctx context.Context, slot Slot, boot Boot) (*State, error) {
	a := arguments{}
	a.slot(slot)
	if a.boot(boot); a.err != nil {
		return nil, a.err
	}
	state, err := s.macRequest(ctx, "claim", slot.Client, slot.ID, slot.Key, bootBytes(boot), bootFields(boot))
	if err != nil {
		return nil, err
	}
	if !state.Lineage.Shows(boot) {
		return nil, &Replaced{"another boot has shown itself"}
	}
	return state, nil
}

// Forget erases the key. Erased false in the answer: the server kept it, because a newer boot needs it.
func (s *Server) Forget(ctx context.Context, slot Slot, boot Boot) (*State, error) {
	a := arguments{}
	a.slot(slot)
	if a.boot(boot); a.err != nil {
		return nil, a.err
	}
	return s.macRequest(ctx, "forget", slot.Client, slot.ID, slot.Key, bootBytes(boot), bootFields(boot))
}

// LineageStatus is what the server knows of the store, also when no slot is left. It changes nothing there.
func (s *Server) LineageStatus(ctx context.Context, client, lineageSecret []byte) (*State, error) {
	a := arguments{}
	if a.lineage(client, lineageSecret); a.err != nil {
		return nil, a.err
	}
	key := LineageKey(lineageSecret, s.Account)
	return s.macRequest(ctx, "lineage-status", client, LineageID(key), key, nil, map[string]any{})
}

// Update is what LineageUpdate does.
type Update struct {
	Boot Boot
	// Head is deposited, unless it is nil.
	Head *Head
	// Forget are slots that the store needs no more, at most 32.
	Forget [][]byte
	// Close ends the lineage, unless it is nil.
	Close *Closing
}

// Closing is the last incarnation of a lineage, and its head.
type Closing struct {
	Last Boot
	Head Head
}

func headField(head Head) map[string]any {
	return map[string]any{"sequence": head.Sequence, "digest": ToHex(head.Digest)}
}

// Content are the canonical bytes of an update, and its fields.
func (u Update) Content() ([]byte, map[string]any) {
	body, forget := bootFields(u.Boot), make([]string, 0, len(u.Forget))
	for _, slot := range u.Forget {
		forget = append(forget, ToHex(slot))
	}
	body["forget"] = forget
	if u.Head != nil {
		body["head"] = headField(*u.Head)
	}
	end := []byte{0}
	if u.Close != nil {
		end = concat([]byte{1}, bootBytes(u.Close.Last), headBytes(&u.Close.Head))
		last := bootFields(u.Close.Last)
		last["head"] = headField(u.Close.Head)
		body["close"] = last
	}
	return concat(bootBytes(u.Boot), headBytes(u.Head), slotBytes(u.Forget), end), body
}

// LineageUpdate shows this boot, deposits a head, erases slots, or ends the lineage.
func (s *Server) LineageUpdate(ctx context.Context, client, lineageSecret []byte, update Update) (*State, error) {
	a := arguments{}
	a.lineage(client, lineageSecret)
	if a.update(update); a.err != nil {
		return nil, a.err
	}
	key := LineageKey(lineageSecret, s.Account)
	content, body := update.Content()
	return s.macRequest(ctx, "lineage-update", client, LineageID(key), key, content, body)
}
