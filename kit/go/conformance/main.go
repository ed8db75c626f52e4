// The client under `latchkey conformance --client ./conformance`; docs/conformance.md has the contract.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	latchkey "latchkey.example/kit"
	"latchkey.example/kit/mocktdx"
)

type scenario struct {
	Account       string
	LineageSecret string
	Servers       []struct{ AccountID, X25519PublicKey, Endpoint string }
	QuoteProvider string
	TimeoutMs     int
	Steps         []string
}

// known is a server, and what the client has there; failed ends the steps.
type known struct {
	name   string
	server *latchkey.Server
	slot   latchkey.Slot
	token  []byte
	failed bool
}

type run struct {
	client, secret []byte
	servers        []*known
	quote          func([]byte) ([]byte, error)
	boot           latchkey.Boot
	second         []byte
}

func say(line map[string]any) {
	text, err := json.Marshal(line)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(text))
}

func (k *known) fail(step string, err error) {
	k.failed = true
	line := map[string]any{"step": step, "server": k.name, "ok": false, "reason": "unreachable"}
	var refused *latchkey.Refused
	var replaced *latchkey.Replaced
	var broken *latchkey.ProtocolError
	switch {
	case errors.As(err, &refused):
		line["reason"], line["code"] = "refused", refused.Code
	case errors.As(err, &replaced):
		line["reason"] = "replaced"
	case errors.As(err, &broken):
		line["reason"] = "protocol"
	}
	log.Println(step, err)
	say(line)
}

func (r *run) left() (left []*known) {
	for _, one := range r.servers {
		if !one.failed {
			left = append(left, one)
		}
	}
	return left
}

func (r *run) each(step string, act func(*known) error) {
	for _, one := range r.left() {
		if err := act(one); err != nil {
			one.fail(step, err)
		} else {
			say(map[string]any{"step": step, "server": one.name, "ok": true})
		}
	}
}

func (r *run) obtain(step string, intent latchkey.Intent, wish func(*known) latchkey.Wish) {
	asked := r.left()
	if len(asked) == 0 {
		return
	}
	var wishes []latchkey.Wish
	for _, one := range asked {
		wishes = append(wishes, wish(one))
	}
	results, err := latchkey.Obtain(context.Background(), r.client, intent, wishes, r.quote)
	if err != nil {
		log.Fatal(err)
	}
	for at, one := range asked {
		grant, err := results[at].Grant, results[at].Err
		// A node sees another key by the share that does not open.
		if err == nil && intent == latchkey.Recover && !bytes.Equal(grant.Key, one.slot.Key) {
			err = &latchkey.ProtocolError{Reason: "the server gave another key"}
		}
		if err != nil {
			one.fail(step, err)
			continue
		}
		if intent == latchkey.Create {
			one.slot = latchkey.Slot{Client: r.client, ID: wishes[at].SlotID, Key: grant.Key}
			one.token = grant.RecoveryToken
		}
		say(map[string]any{"step": step, "server": one.name, "ok": true, "keyId": latchkey.ToHex(grant.KeyID)})
	}
}

func (r *run) do(step string) {
	ctx := context.Background()
	switch step {
	case "plain":
		r.obtain(step, latchkey.GetOrCreate, func(k *known) latchkey.Wish {
			return latchkey.Wish{Server: k.server, SlotID: latchkey.NoSlot}
		})
	case "create":
		r.obtain(step, latchkey.Create, func(k *known) latchkey.Wish {
			return latchkey.Wish{Server: k.server, SlotID: latchkey.Random(16)}
		})
	case "recover":
		r.obtain(step, latchkey.Recover, func(k *known) latchkey.Wish {
			return latchkey.Wish{Server: k.server, SlotID: k.slot.ID, RecoveryToken: k.token}
		})
	case "link":
		r.each(step, func(k *known) error {
			_, err := k.server.LinkAndConfirm(ctx, k.slot, r.secret, r.boot)
			return err
		})
	case "reserve":
		r.each(step, func(k *known) error {
			_, err := k.server.Reserve(ctx, k.slot, latchkey.ReservedBoot(r.secret, 2, r.second))
			return err
		})
	case "claim":
		r.boot = latchkey.MarkedBoot(r.secret, 2, r.second)
		r.each(step, func(k *known) error {
			_, err := k.server.Claim(ctx, k.slot, r.boot)
			return err
		})
	case "status":
		r.each(step, func(k *known) error {
			_, err := k.server.LineageStatus(ctx, r.client, r.secret)
			return err
		})
	case "update":
		head := must(latchkey.MarkedHead(r.secret, r.boot, 1, latchkey.Random(16)))
		r.each(step, func(k *known) error {
			_, err := k.server.LineageUpdate(ctx, r.client, r.secret, latchkey.Update{Boot: r.boot, Head: &head})
			return err
		})
	case "forget":
		r.each(step, func(k *known) error {
			state, err := k.server.Forget(ctx, k.slot, r.boot)
			if err == nil && !state.Erased {
				err = &latchkey.Replaced{Reason: "the server kept the key for a newer boot"}
			}
			return err
		})
	default:
		say(map[string]any{"step": step, "unsupported": true})
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	var told scenario
	if err := json.Unmarshal([]byte(os.Getenv("LATCHKEY_CONFORMANCE")), &told); err != nil {
		log.Fatal("LATCHKEY_CONFORMANCE: ", err)
	}
	timeout := time.Duration(told.TimeoutMs) * time.Millisecond
	r := run{
		client: must(latchkey.Account(told.Account)),
		secret: must(latchkey.FromHex(told.LineageSecret, 32)),
		quote:  mocktdx.Quotes(told.QuoteProvider),
		second: latchkey.Random(8),
	}
	r.boot = latchkey.MarkedBoot(r.secret, 1, latchkey.Random(8))
	for _, entry := range told.Servers {
		account, key := must(latchkey.Account(entry.AccountID)), must(latchkey.FromHex(entry.X25519PublicKey, 32))
		server := latchkey.NewServer(entry.Endpoint, account, key, timeout)
		r.servers = append(r.servers, &known{name: entry.AccountID, server: server})
	}
	for _, step := range told.Steps {
		r.do(step)
	}
}
