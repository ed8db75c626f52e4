// A TSS node's part: gets a key of every server of a network, links it, loses its memory, gets the keys back, shows its
// second boot, and gives the keys up. LATCHKEY_NETWORK is the line with `ready` that `npm start -- --network --json`
// prints.
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

type network struct {
	Servers       []struct{ AccountID, X25519PublicKey, Endpoint string }
	QuoteProvider string
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	var told network
	if err := json.Unmarshal([]byte(os.Getenv("LATCHKEY_NETWORK")), &told); err != nil {
		return fmt.Errorf("LATCHKEY_NETWORK: %w", err)
	}
	ctx, quote := context.Background(), mocktdx.Quotes(told.QuoteProvider)
	// The account is the node's own on the chain; the lineage secret belongs to its store.
	client, secret := latchkey.Random(32), latchkey.Random(32)

	var wishes []latchkey.Wish
	for _, entry := range told.Servers {
		account, err := latchkey.Account(entry.AccountID)
		if err != nil {
			return err
		}
		key, err := latchkey.FromHex(entry.X25519PublicKey, 32)
		if err != nil {
			return err
		}
		server := latchkey.NewServer(entry.Endpoint, account, key, 20*time.Second)
		wishes = append(wishes, latchkey.Wish{Server: server, SlotID: latchkey.Random(16)})
	}
	made, err := grants(latchkey.Obtain(ctx, client, latchkey.Create, wishes, quote))
	if err != nil {
		return err
	}
	boot := latchkey.MarkedBoot(secret, 1, latchkey.Random(8))
	slots := make([]latchkey.Slot, len(wishes))
	for at, wish := range wishes {
		slots[at] = latchkey.Slot{Client: client, ID: wish.SlotID, Key: made[at].Key}
		if _, err := wish.Server.LinkAndConfirm(ctx, slots[at], secret, boot); err != nil {
			return err
		}
	}
	fmt.Println(len(made), "keys created and linked")

	// After a restart: slot ids and tokens are in the node's keyslot file, the tokens sealed.
	for at := range wishes {
		wishes[at].RecoveryToken = made[at].RecoveryToken
	}
	back, err := grants(latchkey.Obtain(ctx, client, latchkey.Recover, wishes, quote))
	if err != nil {
		return err
	}
	for at := range back {
		if !bytes.Equal(back[at].Key, made[at].Key) {
			return errors.New("a server gave another key")
		}
	}
	fmt.Println(len(back), "keys recovered")

	// Before it writes, the second boot reserves a number and shows itself: an older copy finds out that it must stop.
	random := latchkey.Random(8)
	for at, wish := range wishes {
		if _, err := wish.Server.Reserve(ctx, slots[at], latchkey.ReservedBoot(secret, 2, random)); err != nil {
			return err
		}
	}
	older := boot
	boot = latchkey.MarkedBoot(secret, 2, random)
	for at, wish := range wishes {
		if _, err := wish.Server.Claim(ctx, slots[at], boot); err != nil {
			return err
		}
	}
	var replaced *latchkey.Replaced
	if _, err := wishes[0].Server.Claim(ctx, slots[0], older); !errors.As(err, &replaced) {
		return fmt.Errorf("the first boot was not told that it is replaced: %v", err)
	}
	fmt.Println("boot 2 is shown, boot 1 is replaced")

	stolen := wishes[:1:1]
	stolen[0].RecoveryToken = latchkey.Random(32)
	results, err := latchkey.Obtain(ctx, client, latchkey.Recover, stolen, quote)
	var refused *latchkey.Refused
	if err != nil || !errors.As(results[0].Err, &refused) {
		return fmt.Errorf("a wrong proof was not refused: %v", err)
	}
	fmt.Println("a wrong proof is refused:", refused.Code)

	for at, wish := range wishes {
		state, err := wish.Server.Forget(ctx, slots[at], boot)
		if err != nil || !state.Erased {
			return fmt.Errorf("a server kept a key: %v", err)
		}
	}
	fmt.Println(len(wishes), "keys erased")
	return nil
}

func grants(results []latchkey.Result, err error) ([]*latchkey.Grant, error) {
	var all []*latchkey.Grant
	for _, result := range results {
		err = errors.Join(err, result.Err)
		all = append(all, result.Grant)
	}
	return all, err
}
