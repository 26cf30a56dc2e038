package orchestratortest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// at calls Identity's administration below base.
func at(t *testing.T, base, method, path, bearer, body string) (int, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, base+clientsPath+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	answer, text, err := ask(t, r)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, text
}

func orgLevel(s *Server) string { return s.Origin + "/" + s.Org + "/identity_" }

func order(s *Server, c Client, more string) string {
	return `{"clientId":"` + c.ID + `","partitionGlobalId":"` + s.Partition + `"` + more + `}`
}

func TestWhoAdministersApplications(t *testing.T) {
	s := start(t, Options{})
	app := s.AddApp("", "", "OR.Jobs")
	for _, c := range []struct {
		scope             string
		read, write, gone int
	}{
		{"PM.OAuthApp", 200, 200, 204},
		{"PM.OAuthApp.Read", 200, 403, 403},
		{"PM.OAuthApp.Write", 403, 200, 204},
		{"PM.OAuthAppSecret.Write", 403, 200, 204},
		{"OR.Machines", 403, 403, 403},
		{"", 401, 401, 401},
	} {
		t.Run(c.scope, func(t *testing.T) {
			bearer := ""
			if c.scope != "" {
				bearer = s.Token(s.AddApp("", "", c.scope).ID)
			}
			victim := strconv.FormatInt(s.AddSecret(app.ID, "").SecretID, 10)
			read, _ := at(t, orgLevel(s), "GET", "/"+s.Partition+"/"+app.ID, bearer, "")
			write, _ := at(t, orgLevel(s), "POST", "/GenerateSecret", bearer, order(s, app, ""))
			gone, _ := at(t, orgLevel(s), "DELETE", "/"+s.Partition+"/secrets/"+victim, bearer, "")
			if read != c.read || write != c.write || gone != c.gone {
				t.Errorf("GET %d, POST %d, DELETE %d; want %+v", read, write, gone, c)
			}
		})
	}
}

func TestRotationOfAnApplication(t *testing.T) {
	s := start(t, Options{})
	app, admin := s.AddApp("", "", "OR.Jobs"), s.Token(s.AddApp("", "", "PM.OAuthApp").ID)
	ends := time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)

	_, body := at(t, orgLevel(s), "POST", "/GenerateSecret", admin, order(s, app, `,"description":"new","expiryTime":"`+ends.Format(time.RFC3339Nano)+`"`))
	var made appSecret
	if err := json.Unmarshal(body, &made); err != nil || made.Secret == nil || made.Description != "new" || made.Expires == nil || !made.Expires.Equal(ends) {
		t.Fatalf("%v: %s", err, body)
	}
	renewed := Client{ID: app.ID, Secret: *made.Secret}
	if !works(t, s, app) || !works(t, s, renewed) {
		t.Fatal("not both secrets work")
	}

	_, body = at(t, orgLevel(s), "GET", "/"+s.Partition+"/"+app.ID, admin, "")
	var known struct {
		ID      string
		Secrets []appSecret
	}
	if err := json.Unmarshal(body, &known); err != nil || known.ID != app.ID || len(known.Secrets) != 2 {
		t.Fatalf("%v: %s", err, body)
	}
	old, listed := known.Secrets[0], known.Secrets[1]
	if old.ID != app.SecretID || old.Expires != nil || listed.ID != made.ID || !listed.Created.Equal(made.Created) || listed.Expires == nil {
		t.Errorf("listed as %s", body)
	}
	if old.Secret != nil || listed.Secret != nil {
		t.Error("a secret is shown twice")
	}

	if status, _ := at(t, orgLevel(s), "DELETE", "/"+s.Partition+"/secrets/"+strconv.FormatInt(old.ID, 10), admin, ""); status != http.StatusNoContent {
		t.Errorf("DELETE: %d", status)
	}
	if works(t, s, app) || !works(t, s, renewed) {
		t.Error("the wrong secret is gone")
	}
	s.SetSkew(2 * time.Hour)
	if works(t, s, renewed) {
		t.Error("an expired secret works")
	}
}

func TestWhatTheAdministrationRefuses(t *testing.T) {
	s := start(t, Options{})
	app, robot, admin := s.AddApp("", "", "OR.Jobs"), s.AddMachine("", ""), s.Token(s.AddApp("", "", "PM.OAuthApp").ID)
	elsewhere := newGUID()
	for name, c := range map[string]struct {
		method, path, body string
		want               int
	}{
		"another organization":          {"GET", "/" + elsewhere + "/" + app.ID, "", 400},
		"another organization's secret": {"DELETE", "/" + elsewhere + "/secrets/" + strconv.FormatInt(app.SecretID, 10), "", 400},
		"an order elsewhere":            {"POST", "/GenerateSecret", `{"clientId":"` + app.ID + `","partitionGlobalId":"` + elsewhere + `"}`, 400},
		"an order without client":       {"POST", "/GenerateSecret", `{"partitionGlobalId":"` + s.Partition + `"}`, 400},
		"no order":                      {"POST", "/GenerateSecret", "", 400},
		"a secret of the past":          {"POST", "/GenerateSecret", order(s, app, `,"expiryTime":"2020-01-01T00:00:00Z"`), 400},
		"no application":                {"GET", "/" + s.Partition + "/nobody", "", 404},
		"a machine":                     {"GET", "/" + s.Partition + "/" + robot.ID, "", 404},
		"a secret for a machine":        {"POST", "/GenerateSecret", order(s, robot, ""), 404},
		"a machine's secret":            {"DELETE", "/" + s.Partition + "/secrets/" + strconv.FormatInt(robot.SecretID, 10), "", 404},
		"not an id":                     {"DELETE", "/" + s.Partition + "/secrets/x", "", 404},
	} {
		if status, _ := at(t, orgLevel(s), c.method, c.path, admin, c.body); status != c.want {
			t.Errorf("%s: %d, want %d", name, status, c.want)
		}
	}
	if len(s.Secrets(app.ID)) != 1 || len(s.Secrets(robot.ID)) != 1 {
		t.Error("something was done")
	}
}

func TestNewOrganizationsAreAdministeredAtTheirLevel(t *testing.T) {
	for _, newer := range []bool{false, true} {
		s := start(t, Options{NewOrg: newer})
		app, admin := s.AddApp("", "", "OR.Jobs"), s.Token(s.AddApp("", "", "PM.OAuthApp").ID)
		if status, _ := at(t, orgLevel(s), "GET", "/"+s.Partition+"/"+app.ID, admin, ""); status != http.StatusOK {
			t.Errorf("new: %v: at its own level: %d", newer, status)
		}
		for method, path := range map[string]string{
			"GET": "/" + s.Partition + "/" + app.ID, "POST": "/GenerateSecret", "DELETE": "/" + s.Partition + "/secrets/9999",
		} {
			status, body := at(t, s.Identity, method, path, admin, order(s, app, ""))
			if got := strings.Contains(string(body), "InvalidPartition"); got != newer || (status == http.StatusBadRequest) != newer {
				t.Errorf("new: %v: %s at the host's level: %d %s", newer, method, status, body)
			}
		}
	}
}

func TestOneApplicationAdministersBoth(t *testing.T) {
	s := start(t, Options{})
	robot, app, admin := s.AddMachine("", ""), s.AddApp("", "", "OR.Jobs"), s.AddApp("", "", "OR.Machines", "PM.OAuthApp")
	bearer := token(t, s, admin, "OR.Machines PM.OAuthApp")
	if status, _ := call(t, s, "POST", "/api/clientsecrets/"+robot.ID, bearer); status != http.StatusCreated {
		t.Errorf("a machine's secret: %d", status)
	}
	if status, _ := at(t, orgLevel(s), "POST", "/GenerateSecret", bearer, order(s, app, "")); status != http.StatusOK {
		t.Errorf("an application's: %d", status)
	}
	narrow := token(t, s, admin, "OR.Machines")
	if status, _ := at(t, orgLevel(s), "POST", "/GenerateSecret", narrow, order(s, app, "")); status != http.StatusForbidden {
		t.Errorf("an application's, with a token for machines: %d", status)
	}
}
