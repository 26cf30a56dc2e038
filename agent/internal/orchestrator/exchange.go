package orchestrator

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"keytender/vault"
	"keytender/vault/egress"
)

// call is one request to an administration.
type call struct {
	method, url string
	token       vault.Secret
	order       any // the body, as JSON; nil for none
}

// ask makes a call and returns status and body of a good answer.
func (s Secrets) ask(ctx context.Context, c call) (int, []byte, error) {
	request, err := c.request(ctx)
	if err != nil {
		return 0, nil, s.unsent(err)
	}
	if s.tenant != "" {
		request.Header.Set("X-UIPATH-TenantName", s.tenant)
	}
	response, err := s.http.Do(request)
	if err != nil {
		return 0, nil, unanswered(c.method, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body) // egress bounds it
	if err != nil {
		return 0, nil, unanswered(c.method, fmt.Errorf("read the answer: %w", err))
	}
	if response.StatusCode/100 != 2 || egress.IsHTML(response.Header) {
		return 0, nil, s.refusal(c.method, response.StatusCode, response.Header)
	}
	return response.StatusCode, body, nil
}

func (c call) request(ctx context.Context) (*http.Request, error) {
	var body io.Reader
	if c.order != nil {
		order, err := json.Marshal(c.order)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(order)
	}
	request, err := http.NewRequestWithContext(ctx, c.method, c.url, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	return request, nil
}
