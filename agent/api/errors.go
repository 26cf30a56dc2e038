package api

import "strings"

// Error is how every failure looks on both doors: RFC 6749's shape with our
// fields beside it. It never carries a secret, a token or another server's
// words.
type Error struct {
	Code          Code   `json:"error"`
	Description   string `json:"error_description,omitempty"`
	Hint          string `json:"hint,omitempty"` // what to do, as a phrase
	Profile       string `json:"profile,omitempty"`
	Field         string `json:"field,omitempty"`          // the input to mend, in pairing
	TokenEndpoint string `json:"token_endpoint,omitempty"` // to be confirmed by a person, see Pairing
	Prompt        string `json:"prompt,omitempty"`
	Ruling        string `json:"ruling,omitempty"`
	RetryAfter    int    `json:"retry_after,omitempty"`    // seconds
	ProviderError string `json:"provider_error,omitempty"` // Identity's own code
}

// Error says what went wrong and what to do about it, in one line.
func (e *Error) Error() string {
	said := e.Description
	if said == "" {
		said = strings.ReplaceAll(string(e.Code), "_", " ")
	}
	if e.Hint == "" {
		return said
	}
	return said + ": " + e.Hint
}
