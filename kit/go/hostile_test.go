package latchkey

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// refusing gives challenges and refuses each key.
func refusing(t *testing.T, account []byte) *Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/challenge" {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"code":"MEASUREMENT_REFUSED"}`)
			return
		}
		json.NewEncoder(w).Encode(map[string]any{
			"server": ToHex(account), "nonce": ToHex(make([]byte, 32)), "instanceId": ToHex(make([]byte, 16)), "expiresAtMs": 1,
		})
	}))
	t.Cleanup(server.Close)
	return NewServer(server.URL, account, make([]byte, 32), time.Hour)
}

// TestChallengesDoNotExpire: a challenge lives for 60 seconds, and the timeout of a server may be longer.
func TestChallengesDoNotExpire(t *testing.T) {
	defer func(before time.Duration) { challengeLimit = before }(challengeLimit)
	challengeLimit = 300 * time.Millisecond
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	wishes := []Wish{
		{Server: NewServer("http://"+silent.Addr().String(), Random(32), make([]byte, 32), time.Hour), SlotID: Random(16)},
		{Server: refusing(t, Random(32)), SlotID: Random(16)},
	}
	quote := func([]byte) ([]byte, error) { return []byte{1}, nil }
	results, err := Obtain(context.Background(), Random(32), Create, wishes, quote)
	if err != nil {
		t.Fatal(err)
	}
	var refused *Refused
	if results[0].Err == nil || errors.As(results[0].Err, &refused) {
		t.Errorf("the silent server: %v", results[0].Err)
	}
	if !errors.As(results[1].Err, &refused) {
		t.Errorf("the other server: %v", results[1].Err)
	}
}

// refusalOf is what becomes of a refusal.
func refusalOf(t *testing.T, body, retryAfter string) (*Refused, error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprint(w, body)
	}))
	defer server.Close()
	_, err := NewServer(server.URL, Random(32), Random(32), time.Minute).LineageStatus(context.Background(), Random(32), Random(32))
	var refused *Refused
	errors.As(err, &refused)
	return refused, err
}

func TestRefusal(t *testing.T) {
	told := `{"code":"RATE_LIMITED","detail":"too many","field":"quote","hint":"wait"%s}`
	refused, err := refusalOf(t, fmt.Sprintf(told, ""), "7")
	want := Refused{429, "RATE_LIMITED", "too many", "quote", "wait", 7 * time.Second}
	if refused == nil || *refused != want {
		t.Errorf("got %v, %v", refused, err)
	}
	refused, _ = refusalOf(t, fmt.Sprintf(told, `,"retryAfterMs":1500`), "7")
	if refused == nil || refused.RetryAfter != 1500*time.Millisecond {
		t.Errorf("got %v", refused)
	}
	long := `{"code":"A","detail":"\u001b[2J\n` + strings.Repeat("é", 1000) + `","field":7,"hint":["h"]}`
	refused, err = refusalOf(t, long, "")
	if refused == nil || len([]rune(refused.Detail)) != 300 || !strings.HasPrefix(refused.Detail, " [2J é") || refused.Field+refused.Hint != "" {
		t.Errorf("got %v, %v", refused, err)
	}
	waits := map[string]time.Duration{"-1": 0, "tomorrow": 0, "1e9": 0, strings.Repeat("9", 50): 24 * time.Hour}
	for header, want := range waits {
		if refused, err := refusalOf(t, `{"code":"A"}`, header); refused == nil || refused.RetryAfter != want {
			t.Errorf("Retry-After %s: %v, %v", header, refused, err)
		}
	}
	for text, want := range map[string]time.Duration{"-1": 0, "true": 0, `"1"`: 0, "1.5": 0, "1" + strings.Repeat("0", 30): 24 * time.Hour} {
		if refused, err := refusalOf(t, `{"code":"A","retryAfterMs":`+text+`}`, ""); refused == nil || refused.RetryAfter != want {
			t.Errorf("retryAfterMs %s: %v, %v", text, refused, err)
		}
	}
	for _, code := range []string{`""`, `"a b"`, `"` + strings.Repeat("A", 65) + `"`, "7", "null"} {
		var broken *ProtocolError
		if _, err := refusalOf(t, `{"code":`+code+`}`, ""); !errors.As(err, &broken) {
			t.Errorf("code %s: %v", code, err)
		}
	}
}

// TestNamesThatAPathWouldLose: /kv/./shares is /kv/shares, so that deleting the record `shares` would delete the namespace
// of that name.
func TestNamesThatAPathWouldLose(t *testing.T) {
	agent, ctx := NewAgent("/nonexistent/agent.sock", time.Second), context.Background()
	for _, name := range []string{".", "..", ""} {
		_, err := agent.Get(ctx, "shares", name)
		for _, err := range []error{
			err, agent.CreateNamespace(ctx, name), agent.Put(ctx, name, "share", nil),
			agent.Put(ctx, "shares", name, nil), agent.Delete(ctx, name, "shares"),
		} {
			var wrong *ArgumentError
			if !errors.As(err, &wrong) {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
}

// TestArguments: what a program gives in another length is told to it, before any server is asked.
func TestArguments(t *testing.T) {
	ctx, secret, boot := context.Background(), Random(32), Boot{1, Random(16)}
	server := NewServer("http://127.0.0.1:1", Random(32), Random(32), time.Second)
	slot := Slot{Client: Random(32), ID: Random(16), Key: Random(32)}
	noQuote := func([]byte) ([]byte, error) { return nil, errors.New("no quote is asked for") }
	obtain := func(client []byte, intent Intent, wish Wish) error {
		_, err := Obtain(ctx, client, intent, []Wish{wish}, noQuote)
		return err
	}
	good := Wish{Server: server, SlotID: NoSlot}
	short, badID := Random(15), Boot{1, nil}
	update := func(update Update) error {
		_, err := server.LineageUpdate(ctx, Random(32), secret, update)
		return err
	}
	head := Head{1, Random(32)}
	calls := map[string]func() error{
		"client":    func() error { return obtain(short, Create, good) },
		"intent":    func() error { return obtain(Random(32), 3, good) },
		"slot id":   func() error { return obtain(Random(32), Create, Wish{Server: server, SlotID: short}) },
		"token":     func() error { return obtain(Random(32), Recover, Wish{server, NoSlot, short}) },
		"no server": func() error { return obtain(Random(32), Create, Wish{SlotID: NoSlot}) },
		"server's account": func() error {
			return obtain(Random(32), Create, Wish{Server: NewServer("http://127.0.0.1:1", short, Random(32), time.Second), SlotID: NoSlot})
		},
		"server's key": func() error {
			return obtain(Random(32), Create, Wish{Server: NewServer("http://127.0.0.1:1", Random(32), short, time.Second), SlotID: NoSlot})
		},
		"no wishes": func() error { _, err := Obtain(ctx, Random(32), Create, nil, noQuote); return err },
		"twice":     func() error { _, err := Obtain(ctx, Random(32), Create, []Wish{good, good}, noQuote); return err },
		"key":       func() error { _, err := server.Claim(ctx, Slot{slot.Client, slot.ID, short}, boot); return err },
		"slot":      func() error { _, err := server.Forget(ctx, Slot{slot.Client, short, slot.Key}, boot); return err },
		"owner":     func() error { _, err := server.Reserve(ctx, Slot{nil, slot.ID, slot.Key}, boot); return err },
		"boot":      func() error { _, err := server.Claim(ctx, slot, badID); return err },
		"reserve":   func() error { _, err := server.Reserve(ctx, slot, badID); return err },
		"forget":    func() error { _, err := server.Forget(ctx, slot, badID); return err },
		"link":      func() error { _, err := server.LinkAndConfirm(ctx, slot, secret, badID); return err },
		"secret":    func() error { _, err := server.LinkAndConfirm(ctx, slot, short, boot); return err },
		"lineage":   func() error { _, err := server.LineageStatus(ctx, Random(32), short); return err },
		"number":    func() error { _, err := server.Claim(ctx, slot, Boot{1 << 53, boot.ID}); return err },
		"updating":  func() error { return update(Update{Boot: badID}) },
		"head":      func() error { return update(Update{Boot: boot, Head: &Head{1, short}}) },
		"sequence":  func() error { return update(Update{Boot: boot, Head: &Head{1 << 53, head.Digest}}) },
		"slots":     func() error { return update(Update{Boot: boot, Forget: [][]byte{short}}) },
		"33 slots":  func() error { return update(Update{Boot: boot, Forget: make([][]byte, 33)}) },
		"last":      func() error { return update(Update{Boot: boot, Close: &Closing{badID, head}}) },
		"last head": func() error { return update(Update{Boot: boot, Close: &Closing{boot, Head{1, short}}}) },
		"digest":    func() error { _, err := MarkedHead(secret, boot, 1, short); return err },
	}
	for about, call := range calls {
		var wrong *ArgumentError
		if err := call(); !errors.As(err, &wrong) {
			t.Errorf("%s: %v", about, err)
		}
	}
	if text := Intent(7).String(); text != "intent 7" {
		t.Errorf("an unknown intent is %q", text)
	}
}
