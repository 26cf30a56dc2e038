package orchestratortest

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"
)

func TestWhoAdministersMachines(t *testing.T) {
	s := start(t, Options{})
	robot, other := s.AddMachine("", ""), s.AddApp("", "", "OR.Jobs")
	tokens := map[string]string{
		"OR.Machines":       s.Token(s.AddApp("", "", "OR.Machines").ID),
		"OR.Machines.Read":  s.Token(s.AddApp("", "", "OR.Machines.Read").ID),
		"OR.Machines.Write": s.Token(s.AddApp("", "", "OR.Machines.Write").ID),
		"OR.Jobs":           s.Token(other.ID),
		"a robot's":         s.Token(robot.ID),
		"none":              "",
	}
	for _, c := range []struct {
		token             string
		read, write, gone int
	}{
		{"OR.Machines", 200, 201, 204},
		{"OR.Machines.Read", 200, 403, 403},
		{"OR.Machines.Write", 403, 201, 204},
		{"OR.Jobs", 403, 403, 403},
		{"a robot's", 403, 403, 403},
		{"none", 401, 401, 401},
	} {
		t.Run(c.token, func(t *testing.T) {
			bearer, path := tokens[c.token], "/api/clientsecrets/"
			victim := "/api/clientsecrets/" + strconv.FormatInt(s.AddSecret(robot.ID, "").SecretID, 10)
			before := len(s.Secrets(robot.ID))
			read, _ := call(t, s, "GET", path+robot.ID, bearer)
			write, _ := call(t, s, "POST", path+robot.ID, bearer)
			made := len(s.Secrets(robot.ID)) - before
			gone, _ := call(t, s, "DELETE", victim, bearer)
			if read != c.read || write != c.write || gone != c.gone {
				t.Errorf("GET %d, POST %d, DELETE %d; want %+v", read, write, gone, c)
			}
			left := len(s.Secrets(robot.ID)) - before - made
			if (made == 1) != (write == 201) || (left == -1) != (gone == 204) {
				t.Errorf("%d were made and %d are left over", made, left)
			}
		})
	}
	admin := tokens["OR.Machines"]
	for what, path := range map[string]string{
		"no machine": "nobody", "an application": other.ID, "an application's secret": strconv.FormatInt(other.SecretID, 10), "no secret": "9999",
	} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			if status, _ := call(t, s, method, "/api/clientsecrets/"+path, admin); status != http.StatusNotFound {
				t.Errorf("%s %s: %d", method, what, status)
			}
		}
	}
	if len(s.Secrets(other.ID)) != 1 {
		t.Error("the application's secrets were administered as a machine's")
	}
}

func TestMachineSecretsHaveTheServersTime(t *testing.T) {
	s := start(t, Options{})
	s.SetSkew(-3 * time.Hour)
	robot := s.AddMachine("", "")
	admin := s.Token(s.AddApp("", "", "OR.Machines").ID)
	_, body := call(t, s, "POST", "/api/clientsecrets/"+robot.ID, admin)
	var made machineSecret
	if err := json.Unmarshal(body, &made); err != nil || made.Secret == nil {
		t.Fatalf("%v: %s", err, body)
	}
	var list []machineSecret
	if _, body = call(t, s, "GET", "/api/clientsecrets/"+robot.ID, admin); json.Unmarshal(body, &list) != nil || len(list) != 2 {
		t.Fatalf("the list is %s", body)
	}
	if list[0].ID != robot.SecretID || list[1].ID != made.ID || !list[1].Created.Equal(made.Created) {
		t.Errorf("made %+v; the list is %s", made, body)
	}
	for _, k := range list {
		if age := time.Since(k.Created.Add(3 * time.Hour)); k.Secret != nil || age < 0 || age > time.Minute {
			t.Errorf("listed as %+v, %v old", k, age)
		}
	}
}

func TestFaultsOfOneMethod(t *testing.T) {
	s := start(t, Options{})
	robot := s.AddMachine("", "")
	admin := s.Token(s.AddApp("", "", "OR.Machines").ID)
	path := "/api/clientsecrets/" + robot.ID
	s.Fault(path, Fault{Method: "POST", Status: http.StatusServiceUnavailable, Times: 1})
	if status, _ := call(t, s, "GET", path, admin); status != http.StatusOK {
		t.Errorf("GET met a POST's fault: %d", status)
	}
	if status, _ := call(t, s, "POST", path, admin); status != http.StatusServiceUnavailable || len(s.Secrets(robot.ID)) != 1 {
		t.Errorf("POST: %d, %d secrets", status, len(s.Secrets(robot.ID)))
	}
	if status, _ := call(t, s, "POST", path, admin); status != http.StatusCreated {
		t.Errorf("the second POST: %d", status)
	}
}

// What a caller learns nothing of is done all the same.
func TestCutAfterItWasDone(t *testing.T) {
	s := start(t, Options{})
	robot := s.AddMachine("", "")
	admin := s.Token(s.AddApp("", "", "OR.Machines").ID)
	s.Fault("/api/clientsecrets/", Fault{Cut: true})
	for _, c := range []struct {
		method, key string
		left        int
	}{{"POST", robot.ID, 2}, {"DELETE", strconv.FormatInt(robot.SecretID, 10), 1}} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, s.Orchestrator+"/api/clientsecrets/"+c.key, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+admin)
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err == nil {
			_, err = io.ReadAll(answer.Body)
			answer.Body.Close()
		}
		if err == nil {
			t.Errorf("%s was answered whole", c.method)
		}
		if n := len(s.Secrets(robot.ID)); n != c.left {
			t.Errorf("after %s there are %d secrets", c.method, n)
		}
	}
}
