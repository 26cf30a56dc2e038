package orchestrator

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"keytender/vault"
)

// Verdict is what an answer says about the token it was asked with.
type Verdict string

const (
	// Accepted: the call was served.
	Accepted Verdict = "accepted"
	// Forbidden: Orchestrator knows the token and misses a right, which only this
	// call needs. For the pairing that is as good as Accepted.
	Forbidden Verdict = "forbidden"
	// Rejected: the token itself was refused (401).
	Rejected Verdict = "rejected"
	// Unclear: something answered, but nothing is learned about the token.
	Unclear Verdict = "unclear"
)

// Answer is what a harmless call brought.
type Answer struct {
	Verdict   Verdict
	Call      string // its path below the base
	Status    int
	ErrorCode int       // Orchestrator's own, 0 if none
	Date      time.Time // the server's clock; zero if it sent none
}

// String tells people what became of the token.
func (a Answer) String() string {
	said := fmt.Sprintf("GET %s answered %d: ", a.Call, a.Status)
	switch a.Verdict {
	case Accepted:
		return said + "the token was accepted"
	case Forbidden:
		return said + "the token was accepted; it lacks the right for this call, which only this check needs"
	case Rejected:
		return said + "Orchestrator refused the token"
	}
	return said + "this is not Orchestrator's own answer"
}

// Todo is what a person can do about the answer; "" if nothing is wrong.
func (a Answer) Todo() string {
	switch a.Verdict {
	case Accepted, Forbidden:
		return ""
	case Rejected:
		return "check that url and identity of the profile belong to the same deployment, and this machine's clock"
	}
	if a.Status >= 500 || a.Status == http.StatusTooManyRequests {
		return "try again later"
	}
	return "check the url of the profile; a proxy or gateway may stand before Orchestrator"
}

// Client makes harmless calls; HTTP comes from egress.New.
type Client struct{ HTTP *http.Client }

// calls are tried in this order until one exists. api/Status/Get is not among
// them: it is served to anybody and so proves nothing about a token. Neither are
// the calls that register a robot's session and take a licence.
var calls = [...]string{
	"/odata/Folders?$top=1",
	"/odata/Users/UiPath.Server.Configuration.OData.GetCurrentUser",
}

// Check asks the Orchestrator something that changes nothing, with token as
// bearer. It sends the token to a.Base and nowhere else. The error is the
// network's; whatever was answered is an Answer.
//
// 401 means that the token was refused. 403 in Orchestrator's own shape means
// that it was accepted and a right is missing; any other 403 comes from
// something before Orchestrator.
func (c Client) Check(ctx context.Context, a Address, token vault.Secret) (Answer, error) {
	var answer Answer
	for _, call := range calls {
		var err error
		if answer, err = c.ask(ctx, a, call, token); err != nil {
			return Answer{}, err
		}
		if answer.Status != http.StatusNotFound && answer.Status != http.StatusMethodNotAllowed {
			break
		}
	}
	return answer, nil
}

func (c Client) ask(ctx context.Context, a Address, call string, token vault.Secret) (Answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.Base+call, nil)
	if err != nil {
		return Answer{}, fmt.Errorf("ask Orchestrator: %w", err)
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Authorization", "Bearer "+token.Reveal())
	if tenant := a.header(); tenant != "" {
		request.Header.Set("X-UIPATH-TenantName", tenant)
	}
	response, err := c.HTTP.Do(request)
	if err != nil {
		return Answer{}, fmt.Errorf("ask Orchestrator: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return Answer{}, fmt.Errorf("read Orchestrator's answer: %w", err)
	}
	return judge(call, response, body), nil
}

// judge reads an answer. A date that cannot be read is as none.
func judge(call string, response *http.Response, body []byte) Answer {
	date, _ := http.ParseTime(response.Header.Get("Date"))
	answer := Answer{Verdict: Unclear, Call: call, Status: response.StatusCode, Date: date}
	var shape struct {
		Code *int `json:"errorCode"`
	}
	known := json.Unmarshal(body, &shape) == nil
	if shape.Code != nil {
		answer.ErrorCode = *shape.Code
	}
	switch {
	case answer.Status == http.StatusUnauthorized:
		answer.Verdict = Rejected
	case answer.Status == http.StatusForbidden && known && shape.Code != nil:
		answer.Verdict = Forbidden
	case answer.Status == http.StatusOK && known:
		answer.Verdict = Accepted
	}
	return answer
}
