package api_test

import (
	"testing"

	"keytender/agent/api"
)

// TestCodes is API.md's table "Codes", and what this version adds to it.
func TestCodes(t *testing.T) {
	rows := []struct {
		code         api.Code
		word         string
		status, exit int
	}{
		{api.InvalidRequest, "invalid_request", 400, 2},
		{api.InvalidClient, "invalid_client", 401, 4},
		{api.AccessDenied, "access_denied", 403, 4},
		{api.BadHost, "bad_host", 403, 4},
		{api.BadOrigin, "bad_origin", 403, 4},
		{api.MissingHeader, "missing_header", 403, 4},
		{api.NotPaired, "not_paired", 404, 3},
		{api.InteractionRequired, "interaction_required", 409, 5},
		{api.Locked, "locked", 423, 5},
		{api.SlowDown, "slow_down", 429, 6},
		{api.InvalidScope, "invalid_scope", 400, 4},
		{api.ProviderRefused, "provider_refused", 502, 1},
		{api.StoreUnavailable, "store_unavailable", 503, 6},
		{api.ProviderUnavailable, "provider_unavailable", 503, 6},
		{api.AuditUnavailable, "audit_unavailable", 503, 6},
		{api.NotFound, "not_found", 404, 2},
		{api.ProviderBroken, "provider_broken", 502, 1},
		{api.Unavailable, "unavailable", 503, 6},
		{api.ServerError, "server_error", 500, 1},
		{"a word of a later version", "a word of a later version", 500, 1},
	}
	for _, row := range rows {
		if string(row.code) != row.word || row.code.HTTPStatus() != row.status || row.code.Exit() != row.exit {
			t.Errorf("%s: %s %d/%d", row.word, row.code, row.code.HTTPStatus(), row.code.Exit())
		}
	}
}

func TestErrorSaysWhatToDo(t *testing.T) {
	for want, e := range map[string]*api.Error{
		"me: sign-in needed: run it": {Code: api.InteractionRequired, Description: "me: sign-in needed", Hint: "run it"},
		"me: sign-in needed":         {Code: api.InteractionRequired, Description: "me: sign-in needed"},
		"not paired":                 {Code: api.NotPaired},
		"not paired: pair it":        {Code: api.NotPaired, Hint: "pair it"},
	} {
		if e.Error() != want {
			t.Errorf("%q, want %q", e.Error(), want)
		}
	}
}

func TestWorstCheck(t *testing.T) {
	for want, results := range map[string][]string{
		api.CheckOK:   {api.CheckOK, api.CheckSkip},
		api.CheckWarn: {api.CheckOK, api.CheckWarn, api.CheckOK},
		api.CheckFail: {api.CheckWarn, api.CheckFail, api.CheckWarn},
	} {
		var d api.Doctor
		for _, r := range results {
			d.Checks = append(d.Checks, api.Check{Result: r})
		}
		if d.Worst() != want {
			t.Errorf("%v: %s", results, d.Worst())
		}
	}
}
