package vault

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"keytender/vault/egress"
)

// wire is how the vendor's clients reach one server: the vault, or whoever gives
// the tokens for it. It is a policy.Transporter, for many goroutines.
//
// It tells the call that is being made what came of each request, for the
// clients bury the cause of an error or quote it, and takes what a server says
// about an error out of the answer, so that nothing can quote it.
type wire struct {
	link
	client *http.Client
	origin string // the only one to be asked; "": egress decides
	login  bool   // the other end gives tokens
}

// heard is what came of the last request of a call.
type heard struct {
	login  bool          // it was about a token
	host   string        // who was asked
	passed bool          // with a token
	status int           // of the answer; 0: there was none
	codes  []string      // that an error has, from the outside in
	wait   time.Duration // before it is worth asking again, as the server says
	err    error         // why there was no answer
	own    error         // ours, about what was to be asked or what was answered
}

type heardKey struct{}

// listening is a context whose requests are told to h.
func listening(ctx context.Context) (_ context.Context, h *heard) {
	h = &heard{}
	return context.WithValue(ctx, heardKey{}, h), h
}

// hearing is where the requests of a context are told.
func hearing(ctx context.Context) *heard {
	if h, ok := ctx.Value(heardKey{}).(*heard); ok {
		return h
	}
	return &heard{} // nobody listens
}

// vaults tells whether the vault answered with that status and one of the codes.
func (h *heard) vaults(status int, codes ...string) bool {
	return !h.login && h.status == status && slices.ContainsFunc(h.codes, func(c string) bool { return slices.Contains(codes, c) })
}

func (w *wire) Do(r *http.Request) (*http.Response, error) {
	h := hearing(r.Context())
	*h = heard{login: w.login, host: r.URL.Host, passed: r.Header.Get("Authorization") != ""}
	if w.origin != "" && egress.Origin(r.URL) != w.origin {
		h.own = w.refusal("log in", ErrLogin, "the authority wants the login sent to another server, which is not done", "check login.authority at the store in config.yaml")
		return nil, h.own
	}
	answer, err := w.client.Do(r)
	if err != nil {
		h.err = err
		return nil, err
	}
	body, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil {
		h.err = &url.Error{Op: r.Method, URL: r.URL.Scheme + "://" + r.URL.Host, Err: err}
		return nil, h.err
	}
	h.status = answer.StatusCode
	if answer.StatusCode/100 != 2 {
		h.codes, h.wait = codesOf(body), waitOf(answer.Header, time.Now())
		body = nil
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	if !w.login && answer.StatusCode == http.StatusUnauthorized {
		h.own = w.challenged(answer, h.passed)
	}
	if h.own != nil {
		return nil, h.own
	}
	return answer, nil
}

var challengeParameter = regexp.MustCompile(`([A-Za-z_]+)="([^"]*)"`)

// challenged puts a challenge (RFC 9110 section 11.6.1) in the place of the
// vault's that holds of it what the login needs: for whom the token is to be,
// which the vendor's client checks as well, or what else it is to prove. The
// client would panic at some others. Who gives tokens stands in config.yaml, so
// what the vault says about that is dropped.
func (w *wire) challenged(answer *http.Response, passed bool) error {
	said := map[string]string{}
	for _, parameter := range challengeParameter.FindAllStringSubmatch(answer.Header.Get("WWW-Authenticate"), -1) {
		said[parameter[1]] = parameter[2]
	}
	answer.Header.Del("WWW-Authenticate")
	claims, err := base64.StdEncoding.DecodeString(said["claims"])
	if passed && said["error"] == "insufficient_claims" && len(claims) > 0 && err == nil {
		answer.Header.Set("WWW-Authenticate", `Bearer error="insufficient_claims", claims="`+base64.StdEncoding.EncodeToString(claims)+`"`)
		return nil
	}
	resource, err := url.Parse(said["resource"])
	switch {
	case err == nil && resource.Scheme == "https" && resource.Host != "":
	case passed:
		return nil // it just does not take the token
	default:
		return w.refusal("log in", ErrUnavailable, fmt.Sprintf("what answers at %s is no key vault (401 without saying for whom tokens are to be)", w.at.host), "check the store's address")
	}
	if !strings.HasSuffix(answer.Request.URL.Host, "."+resource.Host) {
		return w.refusal("log in", ErrLogin, w.at.host+" asks for a token that is meant for another service, and gets none", "check the store's address: only the vault's own host may be asked for its secrets")
	}
	answer.Header.Set("WWW-Authenticate", `Bearer authorization="https://entra/configured", resource="https://`+resource.Host+`"`)
	return nil
}

var azureCode = regexp.MustCompile(`^[A-Za-z0-9_]{1,64}$`)

// codesOf are the codes in an error's body: Key Vault's, with the inner ones
// behind it; Entra's numbers as AADSTS and digits, and before them OAuth's.
func codesOf(body []byte) (codes []string) {
	var said struct {
		Error   json.RawMessage `json:"error"`
		Numbers []int           `json:"error_codes"`
	}
	if json.Unmarshal(body, &said) != nil {
		return nil
	}
	add := func(code string) {
		if azureCode.MatchString(code) {
			codes = append(codes, code)
		}
	}
	type keyVaultError struct {
		Code    string          `json:"code"`
		Message string          `json:"message"`
		Inner   json.RawMessage `json:"innererror"`
	}
	var oauth string
	if json.Unmarshal(said.Error, &oauth) == nil {
		add(oauth)
	}
	next := said.Error
	for range 4 { // deeper than any that was seen
		var e keyVaultError
		if len(next) == 0 || json.Unmarshal(next, &e) != nil {
			break
		}
		add(e.Code)
		if number, _, found := strings.Cut(e.Message, ":"); found && strings.HasPrefix(number, "AKV") {
			add(number)
		}
		next = e.Inner
	}
	for _, number := range said.Numbers {
		codes = append(codes, "AADSTS"+strconv.Itoa(number))
	}
	return codes
}

// waitOf reads Retry-After (RFC 9110 section 10.2.3).
func waitOf(header http.Header, now time.Time) time.Duration {
	said := header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(said, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(said); err == nil {
		return max(0, at.Sub(now).Round(time.Second))
	}
	return 0
}
