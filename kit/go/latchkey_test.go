package latchkey

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func read(t *testing.T, name string, into any) {
	t.Helper()
	folder := os.Getenv("LATCHKEY_KIT_VECTORS")
	if folder == "" {
		folder = "../vectors"
	}
	text, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

func raw(t *testing.T, text string) []byte {
	t.Helper()
	value, err := FromHex(text, (len(text)-2)/2)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

type requestFile struct {
	Keys struct {
		ServerAccount, ClientAccount, ServerX25519PublicKey, EphemeralSecret, ServerKey, RecoveryToken string
	}
	Challenge struct{ Answer struct{ Nonce string } }
	Request   struct {
		ReportData string
		Body       struct {
			AccountID, EphemeralPublicKey, Intent, RecoveryProof string
			Servers                                              []struct{ Server, Nonce, SlotID string }
		}
	}
	PlainRequest struct{ ReportData string }
}

func TestReportData(t *testing.T) {
	var file requestFile
	read(t, "request.json", &file)
	body := file.Request.Body
	client, err := Account(body.AccountID)
	if err != nil {
		t.Fatal(err)
	}
	var entries []Entry
	for _, entry := range body.Servers {
		server, err := Account(entry.Server)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, Entry{server, raw(t, entry.Nonce), raw(t, entry.SlotID)})
	}
	ephemeral := raw(t, body.EphemeralPublicKey)
	made := RequestReportData(client, ephemeral, Create, entries)
	if ToHex(made) != file.Request.ReportData {
		t.Errorf("report data are %x", made)
	}
	if proof := HMAC(raw(t, file.Keys.RecoveryToken), made); ToHex(proof) != body.RecoveryProof {
		t.Errorf("the proof is %x", proof)
	}
	plain := []Entry{{raw(t, file.Keys.ServerAccount), raw(t, file.Challenge.Answer.Nonce), NoSlot}}
	if made := RequestReportData(client, ephemeral, GetOrCreate, plain); ToHex(made) != file.PlainRequest.ReportData {
		t.Errorf("plain report data are %x", made)
	}
}

func TestAccount(t *testing.T) {
	var file requestFile
	read(t, "request.json", &file)
	good := file.Request.Body.AccountID
	for _, bad := range []string{"", good[1:], good + "1", strings.Replace(good, "5", "4", 1), "0x00", "é" + good[1:]} {
		if _, err := Account(bad); err == nil {
			t.Errorf("%q is taken for an account", bad)
		}
	}
}

func TestAnswer(t *testing.T) {
	var file requestFile
	var answer struct {
		Body    json.RawMessage
		Refused []struct {
			Change string
			Body   json.RawMessage
		}
	}
	read(t, "request.json", &file)
	read(t, "answer.json", &answer)
	keys := file.Keys
	server := NewServer("http://unused", raw(t, keys.ServerAccount), raw(t, keys.ServerX25519PublicKey), time.Second)
	secret, err := ecdh.X25519().NewPrivateKey(raw(t, keys.EphemeralSecret))
	if err != nil {
		t.Fatal(err)
	}
	open := func(body json.RawMessage) (*Grant, error) {
		return server.OpenAnswer(body, EphemeralKey{secret}, raw(t, keys.ClientAccount), raw(t, file.Request.ReportData))
	}
	grant, err := open(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if ToHex(grant.Key) != keys.ServerKey || ToHex(grant.RecoveryToken) != keys.RecoveryToken {
		t.Error("another key or token")
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if printed := fmt.Sprintf(format, *grant); strings.Contains(printed, keys.ServerKey[2:10]) {
			t.Errorf("%s prints the key: %s", format, printed)
		}
	}
	if len(answer.Refused) < 7 {
		t.Error("too few answers to refuse")
	}
	for _, refused := range answer.Refused {
		var broken *ProtocolError
		if _, err := open(refused.Body); !errors.As(err, &broken) {
			t.Errorf("%s: %v", refused.Change, err)
		}
	}
	grant.Wipe()
	if !bytes.Equal(grant.Key, make([]byte, 32)) {
		t.Error("the key is not wiped")
	}
}

func TestLineage(t *testing.T) {
	var file requestFile
	read(t, "request.json", &file)
	var lineage struct {
		Secret, Key, ID string
		IncarnationMark struct {
			Incarnation uint64
			BootID      string
		}
		ReservationMark struct{ Boot string }
		HeadMark        struct{ LogDigest, Digest string }
		LinkSeal        struct{ Nonce, Sealed string }
	}
	read(t, "lineage.json", &lineage)
	secret, server := raw(t, lineage.Secret), raw(t, file.Keys.ServerAccount)
	key := LineageKey(secret, server)
	if ToHex(key) != lineage.Key || ToHex(LineageID(key)) != lineage.ID {
		t.Error("another lineage key or id")
	}
	mark := lineage.IncarnationMark
	boot := MarkedBoot(secret, mark.Incarnation, raw(t, mark.BootID)[:8])
	if ToHex(boot.ID) != mark.BootID {
		t.Error("another incarnation")
	}
	reserved := ReservedBoot(secret, mark.Incarnation, raw(t, mark.BootID)[:8])
	if ToHex(reserved.ID) != lineage.ReservationMark.Boot {
		t.Error("another reservation")
	}
	head, err := MarkedHead(secret, boot, 42, raw(t, lineage.HeadMark.LogDigest))
	if err != nil || ToHex(head.Digest) != lineage.HeadMark.Digest {
		t.Error("another head")
	}
	slot := raw(t, "0x6817225281a73d46c6408730c2339053")
	nonce := raw(t, lineage.LinkSeal.Nonce)
	sealed := sealLineageKey(raw(t, file.Keys.ServerKey), key, server, raw(t, file.Keys.ClientAccount), slot, nonce)
	if ToHex(sealed) != lineage.LinkSeal.Sealed {
		t.Error("another seal")
	}
}

func TestMACRoutes(t *testing.T) {
	var file requestFile
	var lineage struct{ Key string }
	var routes struct {
		Exchanges []struct {
			Name, Route string
			Request     struct {
				MacInput string
				Body     map[string]any
			}
			Answer struct{ Body map[string]any }
		}
	}
	read(t, "request.json", &file)
	read(t, "lineage.json", &lineage)
	read(t, "mac-routes.json", &routes)
	for _, exchange := range routes.Exchanges {
		key := raw(t, file.Keys.ServerKey)
		if strings.HasPrefix(exchange.Route, "lineage-") {
			key = raw(t, lineage.Key)
		}
		mac := raw(t, exchange.Request.Body["mac"].(string))
		macKey := Derive(key, []byte("latchkey/v1/"+exchange.Route+"/request"))
		if !bytes.Equal(HMAC(macKey, raw(t, exchange.Request.MacInput)), mac) {
			t.Errorf("%s: another MAC of the request", exchange.Name)
		}
		check := func(body map[string]any) error {
			text, err := json.Marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			_, err = CheckAnswer(exchange.Route, key, mac, text)
			return err
		}
		changes := map[string]any{"draining": exchange.Answer.Body["draining"] != true, "serverTimeMs": 1, "note": 1, "extensions": map[string]any{}}
		for field, value := range changes {
			changed := map[string]any{}
			for name, old := range exchange.Answer.Body {
				changed[name] = old
			}
			changed[field] = value
			if check(changed) == nil {
				t.Errorf("%s is taken with another %s", exchange.Name, field)
			}
		}
	}
	checkGoodAnswers(t, file.Keys.ServerKey, lineage.Key)
}

// checkGoodAnswers reads the answers byte by byte as they stand in the file.
func checkGoodAnswers(t *testing.T, serverKey, lineageKey string) {
	t.Helper()
	var routes struct {
		Exchanges []struct {
			Name, Route string
			Request     struct{ Body struct{ Mac string } }
			Answer      struct{ Body json.RawMessage }
		}
	}
	read(t, "mac-routes.json", &routes)
	if len(routes.Exchanges) < 13 {
		t.Error("too few exchanges")
	}
	for _, exchange := range routes.Exchanges {
		key := serverKey
		if strings.HasPrefix(exchange.Route, "lineage-") {
			key = lineageKey
		}
		if _, err := CheckAnswer(exchange.Route, raw(t, key), raw(t, exchange.Request.Body.Mac), exchange.Answer.Body); err != nil {
			t.Errorf("%s: %v", exchange.Name, err)
		}
	}
}

func TestVerdicts(t *testing.T) {
	var file struct {
		Verdicts []struct {
			Route, About, Boot, BootID string
			Incarnation                uint64
			Lineage                    json.RawMessage
			Holds                      bool
		}
	}
	read(t, "verdicts.json", &file)
	for _, verdict := range file.Verdicts {
		lineage, _, err := readLineage(fields{"lineage": verdict.Lineage})
		if err != nil {
			t.Fatal(err)
		}
		holds := false
		if verdict.Route == "reserve" {
			holds = lineage.HasReserved(Boot{verdict.Incarnation, raw(t, verdict.Boot)})
		} else {
			holds = lineage.Shows(Boot{verdict.Incarnation, raw(t, verdict.BootID)})
		}
		if holds != verdict.Holds {
			t.Errorf("%s, %s: holds is %v", verdict.Route, verdict.About, holds)
		}
	}
	if len(file.Verdicts) < 13 || (*Lineage)(nil).Shows(Boot{}) || (*Lineage)(nil).HasReserved(Boot{}) {
		t.Error("too few verdicts, or no lineage holds something")
	}
}

func TestUpdateContent(t *testing.T) {
	var routes struct {
		Exchanges []struct {
			Name    string
			Request struct {
				MacInput string
				Body     struct {
					Incarnation uint64
					BootID      string
					Head        *struct {
						Sequence uint64
						Digest   string
					}
					Forget []string
					Close  *struct {
						Incarnation uint64
						BootID      string
						Head        struct {
							Sequence uint64
							Digest   string
						}
					}
				}
			}
		}
	}
	read(t, "mac-routes.json", &routes)
	tried := 0
	for _, exchange := range routes.Exchanges {
		if !strings.HasPrefix(exchange.Name, "lineageUpdate") {
			continue
		}
		tried++
		body := exchange.Request.Body
		update := Update{Boot: Boot{body.Incarnation, raw(t, body.BootID)}}
		if body.Head != nil {
			update.Head = &Head{body.Head.Sequence, raw(t, body.Head.Digest)}
		}
		for _, slot := range body.Forget {
			update.Forget = append(update.Forget, raw(t, slot))
		}
		if end := body.Close; end != nil {
			update.Close = &Closing{Boot{end.Incarnation, raw(t, end.BootID)}, Head{end.Head.Sequence, raw(t, end.Head.Digest)}}
		}
		content, _ := update.Content()
		if !strings.HasSuffix(exchange.Request.MacInput, ToHex(content)[2:]) {
			t.Errorf("%s: content is %x", exchange.Name, content)
		}
	}
	if tried < 2 {
		t.Error("too few updates")
	}
}

func TestBase64IsCanonical(t *testing.T) {
	for _, bad := range []string{"AA", "AA=\n=", "AB==", "AA==\n", " AA=="} {
		if _, err := fromBase64(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestAgent(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "agent.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	records := map[string]string{}
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.EscapedPath()
		switch value, isThere := records[path]; {
		case r.Method == http.MethodPut:
			var body struct{ Value string }
			if json.NewDecoder(r.Body).Decode(&body) != nil {
				w.WriteHeader(http.StatusBadRequest)
			}
			records[path] = body.Value
			fmt.Fprint(w, `{"replaced":false}`)
		case r.Method == http.MethodDelete:
			delete(records, path)
			fmt.Fprint(w, `{"deleted":true}`)
		case isThere:
			fmt.Fprintf(w, `{"value":%q}`, value)
		default:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"code":"RECORD_NOT_FOUND"}`)
		}
	})}
	go server.Serve(listener)
	defer server.Close()
	agent, ctx := NewAgent(socket, 10*time.Second), context.Background()
	if err := agent.Put(ctx, "names", "a/b c", []byte("share")); err != nil {
		t.Fatal(err)
	}
	if _, isThere := records["/kv/names/a%2Fb%20c"]; !isThere {
		t.Errorf("the name is not one part of the path: %v", records)
	}
	if value, err := agent.Get(ctx, "names", "a/b c"); err != nil || string(value) != "share" {
		t.Errorf("got %q, %v", value, err)
	}
	if err := agent.Delete(ctx, "names", "a/b c"); err != nil {
		t.Fatal(err)
	}
	var refused *Refused
	if _, err := agent.Get(ctx, "names", "a/b c"); !errors.As(err, &refused) || refused.Code != "RECORD_NOT_FOUND" {
		t.Errorf("a record that is gone: %v", err)
	}
}

func TestNamesThatChangeThePathAreNotSent(t *testing.T) {
	// Nobody listens there, so an attempt to send is another error.
	agent, ctx := NewAgent(filepath.Join(t.TempDir(), "none.sock"), time.Second), context.Background()
	for _, name := range []string{"", ".", ".."} {
		_, unread := agent.Get(ctx, name, "a")
		_, unreadRecord := agent.Get(ctx, "names", name)
		for _, err := range []error{
			agent.CreateNamespace(ctx, name),
			agent.Put(ctx, name, "a", nil), agent.Put(ctx, "names", name, nil),
			agent.Delete(ctx, name, "a"), agent.Delete(ctx, "names", name),
			unread, unreadRecord,
		} {
			var invalid *InvalidName
			if !errors.As(err, &invalid) || invalid.Name != name {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
}

func TestAgentAnswers(t *testing.T) {
	answers := map[string]string{
		"no JSON": "hello", "no object": "[]", "no fragment": `{"id":1,"timestamp":2}`,
		"other base64": `{"timestamp":2,"fragment":"AQI"}`, "no time": `{"fragment":"AQID"}`,
		"too large": `{"timestamp":2,"fragment":"AQID"}` + strings.Repeat(" ", maxAgentAnswerBytes),
	}
	for about, text := range answers {
		socket := filepath.Join(t.TempDir(), "agent.sock")
		listener, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) })}
		go server.Serve(listener)
		fragment, err := NewAgent(socket, 20*time.Second).RetrieveFragment(context.Background(), 1)
		var protocol *ProtocolError
		if !errors.As(err, &protocol) || strings.Contains(err.Error(), "AQI") {
			t.Errorf("%s: %v, %v", about, fragment, err)
		}
		server.Close()
	}
	if text := fmt.Sprintf("%v %+v %#v", Fragment{2, []byte{77}}, Fragment{2, []byte{77}}, Fragment{2, []byte{77}}); strings.Contains(text, "77") || strings.Contains(text, "4d") {
		t.Errorf("a fragment is printed: %s", text)
	}
}

// TestRunningRituals: the test of the kit has made ritual 7003 active, for the validator 0xA.
func TestRunningRituals(t *testing.T) {
	socket := os.Getenv("LATCHKEY_AGENT")
	if socket == "" {
		t.Skip("LATCHKEY_AGENT names no socket")
	}
	agent, ctx := NewAgent(socket, 60*time.Second), context.Background()
	for _, isNew := range []bool{true, false} {
		if written, err := agent.StoreFragment(ctx, 7003, 13234134, []byte{1, 0, 1}); err != nil || written != isNew {
			t.Fatalf("stored: %v, %v", written, err)
		}
	}
	inputs, err := agent.DecryptionInputs(ctx, 7003, "0xA")
	if err != nil {
		t.Fatal(err)
	}
	want := DecryptionInputs{
		Fragment: Fragment{13234134, []byte{1, 0, 1}}, DkgSize: 1, Threshold: 1,
		AggregatedTranscript: []byte("t"), PublicKey: []byte("p"), Validators: []Validator{{"0xA", []byte("k")}},
	}
	if !reflect.DeepEqual(*inputs, want) {
		t.Errorf("got %v", *inputs)
	}
	code := func(err error) string {
		var refused *Refused
		if !errors.As(err, &refused) {
			t.Fatalf("not refused: %v", err)
		}
		return refused.Code
	}
	_, err = agent.DecryptionInputs(ctx, 7003, "0xB")
	if code(err) != "RITUAL_NOT_PARTICIPANT" {
		t.Error(err)
	}
	_, err = agent.DecryptionInputs(ctx, 7999, "0xA")
	if code(err) != "RITUAL_NOT_ACTIVE" {
		t.Error(err)
	}
	if err := agent.DeleteFragment(ctx, 7003); err != nil {
		t.Fatal(err)
	}
	_, err = agent.RetrieveFragment(ctx, 7003)
	if code(err) != "RITUAL_NOT_FOUND" {
		t.Error(err)
	}
}

// TestRunningAgent speaks with the agent of a running node, where LATCHKEY_AGENT names its socket.
func TestRunningAgent(t *testing.T) {
	socket := os.Getenv("LATCHKEY_AGENT")
	if socket == "" {
		t.Skip("LATCHKEY_AGENT names no socket")
	}
	agent, ctx := NewAgent(socket, 20*time.Second), context.Background()
	if err := agent.CreateNamespace(ctx, "go"); err != nil {
		t.Fatal(err)
	}
	if err := agent.Put(ctx, "go", "share", []byte{1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	if value, err := agent.Get(ctx, "go", "share"); err != nil || !bytes.Equal(value, []byte{1, 2, 3}) {
		t.Errorf("got %x, %v", value, err)
	}
	if status, err := agent.Status(ctx); err != nil || len(status) < 10 {
		t.Errorf("status: %s, %v", status, err)
	}
	if err := agent.Delete(ctx, "go", "share"); err != nil {
		t.Fatal(err)
	}
	var refused *Refused
	if _, err := agent.Get(ctx, "go", "share"); !errors.As(err, &refused) || refused.Status != http.StatusNotFound {
		t.Errorf("a record that is gone: %v", err)
	}
}
