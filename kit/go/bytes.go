package latchkey

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/crypto/blake2b"
)

// ProtocolError says that an answer is not what the protocol allows: another party made or changed it. Ask another server.
type ProtocolError struct{ Reason string }

func (e *ProtocolError) Error() string { return "not the protocol: " + e.Reason }

// Refused says that the server refused. Errors are not authenticated: a hint, never a reason to give up a slot.
type Refused struct {
	Status int
	// Code is stable; match on it.
	Code string
	// Detail, Field and Hint are for people: at most 300 characters, without control characters; empty where the server
	// does not say it.
	Detail, Field, Hint string
	// RetryAfter says how long to wait, at most a day; zero where the server does not say it.
	RetryAfter time.Duration
}

func (e *Refused) Error() string {
	return strings.TrimSuffix(fmt.Sprintf("refused: %d %s: %s", e.Status, e.Code, e.Detail), ": ")
}

var (
	errorCode    = regexp.MustCompile(`^[A-Za-z0-9_]{1,64}$`)
	digits       = regexp.MustCompile(`^[0-9]+$`)
	longestRetry = 24 * time.Hour
)

const maxShown = 300

// refusal reads a problem document (RFC 9457).
func refusal(status int, text []byte, retryAfter string) error {
	var found fields
	if json.Unmarshal(text, &found) != nil {
		return broken("status %d without a problem document", status)
	}
	code, err := found.text("code")
	if err != nil || !errorCode.MatchString(code) {
		return broken("status %d without a problem document", status)
	}
	wait := waitOf(string(found["retryAfterMs"]), time.Millisecond)
	if wait == 0 {
		wait = waitOf(retryAfter, time.Second)
	}
	return &Refused{status, code, found.shown("detail"), found.shown("field"), found.shown("hint"), wait}
}

// waitOf reads a whole number of units; zero for anything else, also for the date that Retry-After may be.
func waitOf(text string, unit time.Duration) time.Duration {
	if !digits.MatchString(text) {
		return 0
	}
	number, err := strconv.ParseUint(text, 10, 64)
	if err != nil || number > uint64(longestRetry/unit) {
		return longestRetry
	}
	return time.Duration(number) * unit
}

// shown is text of another party, fit for a log.
func (f fields) shown(name string) string {
	text, _ := f.text(name)
	letters := []rune(text)
	for at, letter := range letters {
		if !unicode.IsPrint(letter) {
			letters[at] = ' '
		}
	}
	return string(letters[:min(len(letters), maxShown)])
}

// Replaced says that a newer boot of this node has shown itself, or has reserved the number: this one must not write.
type Replaced struct{ Reason string }

func (e *Replaced) Error() string { return "replaced: " + e.Reason }

func broken(format string, values ...any) error {
	return &ProtocolError{Reason: fmt.Sprintf(format, values...)}
}

// Random returns random bytes of the operating system.
func Random(length int) []byte {
	random := make([]byte, length)
	// Never fails: the runtime ends the program instead.
	rand.Read(random)
	return random
}

// ToHex writes 0x and lower-case hex.
func ToHex(value []byte) string { return "0x" + hex.EncodeToString(value) }

// FromHex reads 0x and exactly this many bytes.
func FromHex(text string, length int) ([]byte, error) {
	value, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
	if err != nil || !strings.HasPrefix(text, "0x") || len(value) != length {
		return nil, broken("a value must be %d bytes of 0x hex", length)
	}
	return value, nil
}

// fromBase64 reads canonical base64 only: Go's own decoder takes line breaks.
func fromBase64(text string) ([]byte, error) {
	value, err := base64.StdEncoding.DecodeString(text)
	if err != nil || base64.StdEncoding.EncodeToString(value) != text {
		return nil, broken("a value must be canonical base64")
	}
	return value, nil
}

const base58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

// Account reads an account: SS58 with prefix 42, or 0x hex.
func Account(text string) ([]byte, error) {
	if strings.HasPrefix(text, "0x") {
		return FromHex(text, 32)
	}
	number := new(big.Int)
	if text == "" || len(text) > 60 {
		return nil, broken("an account must be SS58 with prefix 42, or 0x hex")
	}
	for _, letter := range text {
		digit := strings.IndexRune(base58, letter)
		if digit < 0 {
			return nil, broken("an account is neither SS58 nor hex")
		}
		number.Add(number.Mul(number, big.NewInt(58)), big.NewInt(int64(digit)))
	}
	raw := number.Bytes()
	if len(raw) != 35 || raw[0] != 42 {
		return nil, broken("an account must be SS58 with prefix 42, or 0x hex")
	}
	hash := blake2b.Sum512(append([]byte("SS58PRE"), raw[:33]...))
	if !bytes.Equal(hash[:2], raw[33:]) {
		return nil, broken("the checksum of an account is wrong")
	}
	return raw[1:33], nil
}

// fields are those of a JSON object. Their names are compared exactly, which Go's decoder of structs does not do.
type fields map[string]json.RawMessage

// readFields refuses unknown and missing fields.
func readFields(raw []byte, required, optional []string) (fields, error) {
	var found fields
	if err := json.Unmarshal(raw, &found); err != nil || found == nil {
		return nil, broken("an object is expected")
	}
	known := map[string]bool{}
	for _, name := range required {
		if _, isThere := found[name]; !isThere {
			return nil, broken("%s is missing", name)
		}
		known[name] = true
	}
	for _, name := range optional {
		known[name] = true
	}
	for name := range found {
		if !known[name] {
			return nil, broken("there is an unknown field")
		}
	}
	return found, nil
}

func (f fields) text(name string) (string, error) {
	var text *string
	if json.Unmarshal(f[name], &text) != nil || text == nil {
		return "", broken("%s must be text", name)
	}
	return *text, nil
}

func (f fields) bytes(name string, length int) ([]byte, error) {
	text, err := f.text(name)
	if err != nil {
		return nil, err
	}
	return FromHex(text, length)
}

var wholeNumber = regexp.MustCompile(`^(0|[1-9][0-9]{0,15})$`)

func (f fields) integer(name string) (uint64, error) {
	text := string(bytes.TrimSpace(f[name]))
	number, err := strconv.ParseUint(text, 10, 64)
	if !wholeNumber.MatchString(text) || err != nil || number >= 1<<53 {
		return 0, broken("%s must be a whole number below 2^53", name)
	}
	return number, nil
}

func (f fields) boolean(name string) (bool, error) {
	switch string(bytes.TrimSpace(f[name])) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, broken("%s must be true or false", name)
}
