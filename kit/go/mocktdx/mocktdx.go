// Package mocktdx takes quotes from mock-tdx, for development. In a TD write the report data to
// /sys/kernel/config/tsm/report/<name>/inblob and read outblob instead.
package mocktdx

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Quotes makes quotes at a mock-tdx.
func Quotes(url string) func(reportData []byte) ([]byte, error) {
	client := http.Client{Timeout: 20 * time.Second}
	return func(reportData []byte) ([]byte, error) {
		body := fmt.Sprintf(`{"reportData":"0x%s"}`, hex.EncodeToString(reportData))
		answer, err := client.Post(url+"/quote", "application/json", bytes.NewBufferString(body))
		if err != nil {
			return nil, err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("mock-tdx answers %s", answer.Status)
		}
		var made struct {
			Quote string `json:"quote"`
		}
		if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(&made); err != nil {
			return nil, err
		}
		return base64.StdEncoding.DecodeString(made.Quote)
	}
}
