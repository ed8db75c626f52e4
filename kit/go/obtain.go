package latchkey

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Intent is what a client wants to do with the server key.
type Intent byte

// The intents, with their bytes in the report data.
const (
	// GetOrCreate is for the account's one plain key.
	GetOrCreate Intent = 0
	// Create makes a new key under a new slot id.
	Create Intent = 1
	// Recover gets the key that is there.
	Recover Intent = 2
)

var intentNames = []string{"get-or-create", "create", "recover"}

func (i Intent) isKnown() bool { return int(i) < len(intentNames) }

func (i Intent) String() string {
	if !i.isKnown() {
		return fmt.Sprintf("intent %d", byte(i))
	}
	return intentNames[i]
}

// Entry is a server with its challenge, as the quote names it.
type Entry struct{ Server, Nonce, SlotID []byte }

// RequestReportData are 64 bytes for the quote; the entries in any order, 1 to 16, no server twice.
func RequestReportData(client, ephemeral []byte, intent Intent, entries []Entry) []byte {
	ascending := slices.SortedFunc(slices.Values(entries), func(a, b Entry) int {
		return bytes.Compare(a.Server, b.Server)
	})
	parts := concat([]byte("latchkey/v1/request"), client, ephemeral, []byte{byte(intent)}, u16(len(entries)))
	for _, entry := range ascending {
		parts = concat(parts, entry.Server, entry.Nonce, entry.SlotID)
	}
	hash := sha512.Sum512(parts)
	return hash[:]
}

// Wish is what is wanted of one server.
type Wish struct {
	Server *Server
	// SlotID is NoSlot for the plain key.
	SlotID []byte
	// RecoveryToken proves that the key is the client's own; nil where it is not needed.
	RecoveryToken []byte
}

// Result is a grant, or the error that this server ended with.
type Result struct {
	Grant *Grant
	Err   error
}

// challengeLimit is how long challenges are awaited at most: those that came first live for 60 seconds.
var challengeLimit = 20 * time.Second

// Obtain is the whole exchange: challenges of all servers at once, one quote, one request each at once. No server stops
// another: challenges are awaited for at most 20 seconds, and a server without a challenge is left out of the quote. The
// wishes are 1 to 16, of different servers. quote makes a TDX quote with these 64 bytes of report data.
func Obtain(
	ctx context.Context, client []byte, intent Intent, wishes []Wish, quote func(reportData []byte) ([]byte, error),
) ([]Result, error) {
	a := arguments{}
	if a.wishes(client, intent, wishes); a.err != nil {
		return nil, a.err
	}
	ephemeral := NewEphemeralKey()
	results, nonces := make([]Result, len(wishes)), make([][]byte, len(wishes))
	inTime, cancel := context.WithTimeout(ctx, challengeLimit)
	defer cancel()
	atOnce(wishes, func(at int, wish Wish) {
		nonces[at], results[at].Err = wish.Server.challenge(inTime, client, ephemeral.Public())
	})
	var entries []Entry
	servers := []map[string]string{}
	for at, wish := range wishes {
		if results[at].Err != nil {
			continue
		}
		entries = append(entries, Entry{wish.Server.Account, nonces[at], wish.SlotID})
		servers = append(servers, map[string]string{
			"server": ToHex(wish.Server.Account), "nonce": ToHex(nonces[at]), "slotId": ToHex(wish.SlotID),
		})
	}
	if len(entries) == 0 {
		return results, nil
	}
	reportData := RequestReportData(client, ephemeral.Public(), intent, entries)
	evidence, err := quote(reportData)
	if err != nil {
		return nil, err
	}
	atOnce(wishes, func(at int, wish Wish) {
		if results[at].Err != nil {
			return
		}
		body := map[string]any{
			"accountId":          ToHex(client),
			"ephemeralPublicKey": ToHex(ephemeral.Public()),
			"intent":             intent.String(),
			"servers":            servers,
			"quote":              base64.StdEncoding.EncodeToString(evidence),
		}
		if wish.RecoveryToken != nil {
			body["recoveryProof"] = ToHex(HMAC(wish.RecoveryToken, reportData))
		}
		answer, err := wish.Server.post(ctx, "/request-encryption-key", body)
		if err != nil {
			results[at].Err = err
			return
		}
		grant, err := wish.Server.OpenAnswer(answer, ephemeral, client, reportData)
		results[at] = Result{grant, err}
		if err != nil || intent != Create {
			return
		}
		if grant.RecoveryToken == nil || (!grant.Created && wish.RecoveryToken == nil) {
			grant.Wipe()
			results[at] = Result{nil, broken("a created key is not fresh, or came without its recovery token")}
		}
	})
	return results, nil
}

func atOnce(wishes []Wish, ask func(at int, wish Wish)) {
	var all sync.WaitGroup
	for at, wish := range wishes {
		all.Add(1)
		go func() {
			defer all.Done()
			ask(at, wish)
		}()
	}
	all.Wait()
}
