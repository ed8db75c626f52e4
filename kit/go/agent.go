package latchkey

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// A value of 16 MiB in base64, and what is around it.
const maxAgentAnswerBytes = 24 << 20

// Agent is the local agent of `latchkey serve`, on its Unix socket: the store of the node in the same TD.
type Agent struct{ http *http.Client }

// NewAgent does not connect yet; timeout bounds one answer.
func NewAgent(socketPath string, timeout time.Duration) *Agent {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socketPath)
	}
	return &Agent{&http.Client{Timeout: timeout, Transport: &http.Transport{DialContext: dial}}}
}

func (a *Agent) do(ctx context.Context, method, path string, body any) ([]byte, error) {
	return exchange(ctx, a.http, method, "http://localhost"+path, body, maxAgentAnswerBytes)
}

// keyValuePath is the path of a namespace, or of a record in it. It fails for names that a path would lose.
func keyValuePath(names ...string) (string, error) {
	path := "/kv"
	for _, name := range names {
		if name == "" || name == "." || name == ".." {
			return "", &ArgumentError{Reason: "a name must not be empty, . or .."}
		}
		path += "/" + url.PathEscape(name)
	}
	return path, nil
}

// Status is the state of the node, as /status says it.
func (a *Agent) Status(ctx context.Context) (json.RawMessage, error) {
	return a.do(ctx, http.MethodGet, "/status", nil)
}

// CreateNamespace makes a namespace, or leaves the one that is there.
func (a *Agent) CreateNamespace(ctx context.Context, namespace string) error {
	path, err := keyValuePath(namespace)
	if err == nil {
		_, err = a.do(ctx, http.MethodPut, path, struct{}{})
	}
	return err
}

// Put writes a record. Once it returns, the record is on the disk.
func (a *Agent) Put(ctx context.Context, namespace, name string, value []byte) error {
	path, err := keyValuePath(namespace, name)
	if err == nil {
		body := map[string]string{"value": base64.StdEncoding.EncodeToString(value)}
		_, err = a.do(ctx, http.MethodPut, path, body)
	}
	return err
}

// Get reads a record. It fails with Refused when there is none.
func (a *Agent) Get(ctx context.Context, namespace, name string) ([]byte, error) {
	path, err := keyValuePath(namespace, name)
	if err != nil {
		return nil, err
	}
	answer, err := a.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	var record struct {
		Value string `json:"value"`
	}
	if err := json.Unmarshal(answer, &record); err != nil {
		return nil, broken("the answer of the agent is no JSON")
	}
	return fromBase64(record.Value)
}

// Delete removes a record.
func (a *Agent) Delete(ctx context.Context, namespace, name string) error {
	path, err := keyValuePath(namespace, name)
	if err == nil {
		_, err = a.do(ctx, http.MethodDelete, path, nil)
	}
	return err
}

// Fragment is a node's fragment of one ritual. Wipe it when it is not needed any more.
type Fragment struct {
	// Timestamp is unix time in seconds.
	Timestamp uint64
	Bytes     []byte
}

// String and GoString print no secret.
func (f Fragment) String() string   { return fmt.Sprintf("Fragment{%d}", f.Timestamp) }
func (f Fragment) GoString() string { return f.String() }

// Validator is one validator of a ritual.
type Validator struct {
	Address   string
	PublicKey []byte
}

// DecryptionInputs is what a share of a threshold decryption is made of.
type DecryptionInputs struct {
	Fragment             Fragment
	DkgSize, Threshold   uint64
	AggregatedTranscript []byte
	PublicKey            []byte
	// Validators has all of them, in order; this node is the one at Position.
	Validators []Validator
	Position   int
}

func ritualPath(ritual uint64) string { return "/rituals/" + strconv.FormatUint(ritual, 10) }

// ask reads the answer into a structure. Missing bytes are no fault of JSON, so the caller looks for them.
func (a *Agent) ask(ctx context.Context, method, path string, body, into any) error {
	answer, err := a.do(ctx, method, path, body)
	if err != nil {
		return err
	}
	if json.Unmarshal(answer, into) != nil {
		return broken("the answer of the agent is no JSON")
	}
	return nil
}

// StoreFragment stores the fragment of a ritual; false when the same bytes were stored before.
func (a *Agent) StoreFragment(ctx context.Context, ritual, timestamp uint64, fragment []byte) (bool, error) {
	body := map[string]any{"timestamp": timestamp, "fragment": base64.StdEncoding.EncodeToString(fragment)}
	var answer struct{ Written *bool }
	if err := a.ask(ctx, http.MethodPut, ritualPath(ritual), body, &answer); err != nil {
		return false, err
	}
	if answer.Written == nil {
		return false, broken("written is missing")
	}
	return *answer.Written, nil
}

// RetrieveFragment gives the fragment of a ritual, if its conditions allow it.
func (a *Agent) RetrieveFragment(ctx context.Context, ritual uint64) (*Fragment, error) {
	var answer fragmentAnswer
	if err := a.ask(ctx, http.MethodGet, ritualPath(ritual), nil, &answer); err != nil {
		return nil, err
	}
	return answer.read()
}

// DeleteFragment revokes a fragment: it destroys the key under which it lies on the disk.
func (a *Agent) DeleteFragment(ctx context.Context, ritual uint64) error {
	_, err := a.do(ctx, http.MethodDelete, ritualPath(ritual), nil)
	return err
}

type fragmentAnswer struct {
	Timestamp *uint64
	Fragment  *string
}

func (f fragmentAnswer) read() (*Fragment, error) {
	if f.Timestamp == nil || f.Fragment == nil {
		return nil, broken("the fragment is missing")
	}
	content, err := fromBase64(*f.Fragment)
	if err != nil {
		return nil, err
	}
	return &Fragment{*f.Timestamp, content}, nil
}

// DecryptionInputs gives the fragment with all that a share is made of, for an active ritual of this validator: the node's
// own address, exactly as it was stored.
func (a *Agent) DecryptionInputs(ctx context.Context, ritual uint64, validator string) (*DecryptionInputs, error) {
	var answer struct {
		fragmentAnswer
		Ritual *struct {
			DkgSize, Threshold              uint64
			AggregatedTranscript, PublicKey string
		}
		Validators []struct{ Address, PublicKey string }
		Position   *int
	}
	path := ritualPath(ritual) + "/decryption"
	if err := a.ask(ctx, http.MethodPost, path, map[string]string{"validator": validator}, &answer); err != nil {
		return nil, err
	}
	if answer.Ritual == nil || answer.Position == nil {
		return nil, broken("the ritual is missing")
	}
	fragment, err := answer.read()
	if err != nil {
		return nil, err
	}
	inputs := &DecryptionInputs{Fragment: *fragment, DkgSize: answer.Ritual.DkgSize, Threshold: answer.Ritual.Threshold}
	inputs.Position = *answer.Position
	if inputs.AggregatedTranscript, err = fromBase64(answer.Ritual.AggregatedTranscript); err != nil {
		return nil, err
	}
	if inputs.PublicKey, err = fromBase64(answer.Ritual.PublicKey); err != nil {
		return nil, err
	}
	for _, one := range answer.Validators {
		key, err := fromBase64(one.PublicKey)
		if err != nil {
			return nil, err
		}
		inputs.Validators = append(inputs.Validators, Validator{one.Address, key})
	}
	return inputs, nil
}

// Wipe overwrites the fragment. Copies that Go's runtime made are out of reach.
func (f Fragment) Wipe() { clear(f.Bytes) }
