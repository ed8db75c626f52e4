package latchkey

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"time"
)

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
	return exchange(ctx, a.http, method, "http://localhost"+path, body)
}

func recordPath(namespace, name string) string {
	return "/kv/" + url.PathEscape(namespace) + "/" + url.PathEscape(name)
}

// Status is the state of the node, as /status says it.
func (a *Agent) Status(ctx context.Context) (json.RawMessage, error) {
	return a.do(ctx, http.MethodGet, "/status", nil)
}

// CreateNamespace makes a namespace, or leaves the one that is there.
func (a *Agent) CreateNamespace(ctx context.Context, namespace string) error {
	_, err := a.do(ctx, http.MethodPut, "/kv/"+url.PathEscape(namespace), struct{}{})
	return err
}

// Put writes a record. Once it returns, the record is on the disk.
func (a *Agent) Put(ctx context.Context, namespace, name string, value []byte) error {
	body := map[string]string{"value": base64.StdEncoding.EncodeToString(value)}
	_, err := a.do(ctx, http.MethodPut, recordPath(namespace, name), body)
	return err
}

// Get reads a record. It fails with Refused when there is none.
func (a *Agent) Get(ctx context.Context, namespace, name string) ([]byte, error) {
	answer, err := a.do(ctx, http.MethodGet, recordPath(namespace, name), nil)
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
	_, err := a.do(ctx, http.MethodDelete, recordPath(namespace, name), nil)
	return err
}
