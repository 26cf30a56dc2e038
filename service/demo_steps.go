package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"keytender/agent"
	"keytender/agent/api"
	"keytender/agent/orchestratortest"
)

// demoProfile is the name of the demonstration's robot.
const demoProfile = "invoices"

// demoActors says of each of the seven steps of UiPath's "Robot Authentication
// With Client Credentials" who acts here.
func demoActors() [7]string {
	return [7]string{
		"person → agent",
		"agent → Orchestrator",
		"Orchestrator → agent",
		"agent → Identity",
		"Identity → agent",
		"robot → Orchestrator",
		"Orchestrator → robot",
	}
}

// showDemo goes through the seven steps and shows each as it happens.
func (p *program) showDemo(ctx context.Context, server *orchestratortest.Server, a *agent.Agent) error {
	say(p.out, "%s\n\n", p.ink().bold("A robot gets its work done and never holds the secret. All of it runs here."))
	if err := p.pairDemo(ctx, server, a); err != nil {
		return err
	}
	token, err := demoToken(ctx, a)
	if err != nil {
		return err
	}
	p.showStep(6, fmt.Sprintf("GET /odata/Folders with token %s, fingerprint %s, had from the agent %s", glimpse(token), token.Fingerprint, demoDoors(a)))
	answer, err := callFolders(ctx, server.Orchestrator, token)
	if err != nil {
		return err
	}
	p.showStep(7, answer)
	return nil
}

// pairDemo pairs the robot through the admin door, as "keytender pair" does.
func (p *program) pairDemo(ctx context.Context, server *orchestratortest.Server, a *agent.Agent) error {
	machine := server.AddMachine("", "")
	admin := &api.Admin{Socket: api.AdminSocketFor(a.Socket())}
	defer admin.Close()
	_, err := admin.Pair(ctx, api.Pairing{
		Version:  api.Version,
		Name:     demoProfile,
		Kind:     "robot",
		URL:      server.Orchestrator,
		ClientID: machine.ID,
		Secret:   machine.Secret,
	}, func(s api.Step) {
		if s.Number <= 5 { // the sixth stores the secret, which is no step of the seven
			p.showStep(s.Number, s.Text)
		}
	})
	return doing("pair", err)
}

// showStep shows one step of the seven.
func (p *program) showStep(number int, text string) {
	ink := p.ink()
	say(p.out, "  %s  %-20s  %s\n", ink.bold(fmt.Sprint(number)), demoActors()[number-1], ink.dim(text))
}

// demoToken asks for a token as a local automation does: over the socket, and
// over TCP where there is such a door. Both must give the same.
func demoToken(ctx context.Context, a *agent.Agent) (api.Token, error) {
	client := &api.Client{Socket: a.Socket()}
	defer client.Close()
	token, err := client.Token(ctx, api.TokenRequest{Profile: demoProfile})
	if err != nil || a.TCP() == "" {
		return token, doing("get a token over the socket", err)
	}
	var other api.Token
	header := http.Header{"Keytender": {"1"}}
	if err := getJSON(ctx, "http://"+a.TCP()+"/v1/token?profile="+demoProfile, header, &other); err != nil {
		return token, doing("get a token over TCP", err)
	}
	if other.Fingerprint != token.Fingerprint {
		return token, fmt.Errorf("socket and TCP gave different tokens: %s and %s", token.Fingerprint, other.Fingerprint)
	}
	return token, nil
}

func demoDoors(a *agent.Agent) string {
	if a.TCP() == "" {
		return "over the socket"
	}
	return "over socket and TCP alike"
}

// callFolders asks Orchestrator for its folders, as a robot would, and tells
// what it answered.
func callFolders(ctx context.Context, orchestrator string, token api.Token) (string, error) {
	var folders struct {
		Value []struct{ DisplayName string }
	}
	header := http.Header{"Authorization": {"Bearer " + token.AccessToken}}
	if err := getJSON(ctx, orchestrator+"/odata/Folders?$top=1", header, &folders); err != nil {
		return "", doing("call Orchestrator", err)
	}
	if len(folders.Value) == 0 {
		return "", doing("call Orchestrator", fmt.Errorf("it answered without a folder"))
	}
	return fmt.Sprintf("200 OK: folder %q", folders.Value[0].DisplayName), nil
}

// getJSON gets url and decodes the answer into v.
func getJSON(ctx context.Context, url string, header http.Header, v any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	r.Header = header
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", answer.StatusCode)
	}
	return json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(v)
}
