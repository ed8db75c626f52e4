package latchkey

import (
	"bytes"
	"fmt"
)

const (
	maxServers = 16
	maxForget  = 32
)

// ArgumentError says that the program gave a value of another form. No server was asked.
type ArgumentError struct{ Reason string }

func (e *ArgumentError) Error() string { return "wrong argument: " + e.Reason }

// arguments keeps the first error, so that many values can be checked in a row.
type arguments struct{ err error }

func (a *arguments) demand(holds bool, format string, values ...any) {
	if a.err == nil && !holds {
		a.err = &ArgumentError{Reason: fmt.Sprintf(format, values...)}
	}
}

func (a *arguments) bytes(name string, value []byte, length int) {
	a.demand(len(value) == length, "%s must have %d bytes, got %d", name, length, len(value))
}

func (a *arguments) number(name string, value uint64) {
	a.demand(value < 1<<53, "%s must be below 2^53", name)
}

func (a *arguments) server(server *Server) {
	if a.demand(server != nil, "there is no server"); server == nil {
		return
	}
	a.bytes("the server's account", server.Account, 32)
	a.bytes("the server's X25519 key", server.x25519, 32)
	a.demand(server.http.Timeout > 0, "the timeout must be above zero")
}

func (a *arguments) slot(slot Slot) {
	a.bytes("the client's account", slot.Client, 32)
	a.bytes("the slot id", slot.ID, 16)
	a.bytes("the server key", slot.Key, 32)
}

func (a *arguments) lineage(client, secret []byte) {
	a.bytes("the client's account", client, 32)
	a.bytes("the lineage secret", secret, 32)
}

func (a *arguments) boot(boot Boot) {
	a.number("the number of a boot", boot.Number)
	a.bytes("the id of a boot", boot.ID, 16)
}

func (a *arguments) head(head Head) {
	a.number("the sequence of a head", head.Sequence)
	a.bytes("the digest of a head", head.Digest, 32)
}

func (a *arguments) update(update Update) {
	a.boot(update.Boot)
	if update.Head != nil {
		a.head(*update.Head)
	}
	a.demand(len(update.Forget) <= maxForget, "at most %d slots can be given up at once", maxForget)
	for _, slot := range update.Forget {
		a.bytes("a slot id", slot, 16)
	}
	if update.Close != nil {
		a.boot(update.Close.Last)
		a.head(update.Close.Head)
	}
}

func (a *arguments) wishes(client []byte, intent Intent, wishes []Wish) {
	a.bytes("the client's account", client, 32)
	a.demand(intent.isKnown(), "%s is none", intent)
	a.demand(1 <= len(wishes) && len(wishes) <= maxServers, "1 to %d servers can be asked at once", maxServers)
	for at, wish := range wishes {
		if a.server(wish.Server); a.err != nil {
			return
		}
		a.bytes("the slot id", wish.SlotID, 16)
		if wish.RecoveryToken != nil {
			a.bytes("the recovery token", wish.RecoveryToken, 32)
		}
		for _, earlier := range wishes[:at] {
			a.demand(!bytes.Equal(earlier.Server.Account, wish.Server.Account), "a server is asked twice")
		}
	}
}
