package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keytender/agent/api"
	"keytender/agent/internal/peer"
	"keytender/agent/internal/providertest"
	"keytender/agent/orchestratortest"
)

// administered is an agent with a robot "invoices" and an application
// "operator" that may rotate.
type administered struct {
	*running
	server *orchestratortest.Server
	robot  orchestratortest.Client
}

func administer(t *testing.T, dir, more string) administered {
	t.Helper()
	s := orchestratortest.New(orchestratortest.Options{})
	t.Cleanup(s.Close)
	r := administered{startIn(t, dir, more), s, s.AddMachine("", "")}
	r.mustPair(t, r.robotPairing())
	r.mustPair(t, operatorOf(s))
	return r
}

func (r administered) robotPairing() api.Pairing {
	return api.Pairing{Name: "invoices", Kind: "robot", URL: r.server.Orchestrator, ClientID: r.robot.ID, Secret: r.robot.Secret}
}

// operatorOf is an application that may administer secrets of both kinds.
func operatorOf(s *orchestratortest.Server) api.Pairing {
	app := s.AddApp("", "", "OR.Machines", "PM.OAuthApp", "OR.Folders")
	return api.Pairing{Name: "operator", Kind: "app", URL: s.Orchestrator, ClientID: app.ID, Secret: app.Secret}
}

func (r *running) rotation(t *testing.T, name string, asked api.Rotation) (api.Rotated, []string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var steps []string
	rotated, err := r.admin.Rotate(ctx, name, asked, func(s api.Step) { steps = append(steps, s.Text) })
	return rotated, steps, err
}

// works ends the test unless a new token can be had and is good at Orchestrator.
func (r administered) works(t *testing.T) {
	t.Helper()
	if err := r.admin.Retry(t.Context(), "invoices"); err != nil {
		t.Fatal(err)
	}
	if err := call(r.server.Orchestrator, r.mustToken(t, api.TokenRequest{Profile: "invoices"})); err != nil {
		t.Fatal(err)
	}
}

// call uses a token as a robot does.
func call(orchestrator string, token api.Token) error {
	request, err := http.NewRequest(http.MethodGet, orchestrator+"/odata/Folders?$top=1", nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token.AccessToken)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("orchestrator answers with %d", answer.StatusCode)
	}
	return nil
}

func TestRotationOfARobot(t *testing.T) {
	r := administer(t, t.TempDir(), "")
	rotated, steps, err := r.rotation(t, "invoices", api.Rotation{With: "operator"})
	if err != nil {
		t.Fatal(err)
	}
	now := r.server.Secrets(r.robot.ID)
	if len(now) != 1 || now[0].Secret == r.robot.Secret || fmt.Sprint(now[0].SecretID) != rotated.Made {
		t.Errorf("the machine has %d secrets, %+v", len(now), rotated)
	}
	if len(rotated.Secrets) != 1 || !rotated.Secrets[0].InUse || rotated.Secrets[0].AgeDays == nil {
		t.Errorf("told of %+v", rotated.Secrets)
	}
	if len(steps) != rotationSteps || !strings.Contains(steps[0], "(0 days old)") {
		t.Errorf("steps %q", steps)
	}
	r.works(t)
	if _, _, err := r.rotation(t, "invoices", api.Rotation{With: "operator"}); err != nil { // and again
		t.Fatal(err)
	}
	r.works(t)
	r.holdsNo(t, []string{r.robot.Secret, now[0].Secret, r.server.Secrets(r.robot.ID)[0].Secret}, rotated, steps)
	if report, err := VerifyAudit(r.state); err != nil || report.Records == 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestRotationOfAnApplication(t *testing.T) {
	r := administer(t, t.TempDir(), "")
	app := r.server.AddApp("", "", "OR.Folders")
	r.mustPair(t, api.Pairing{Name: "billing", Kind: "app", URL: r.server.Orchestrator, ClientID: app.ID, Secret: app.Secret})
	if _, _, err := r.rotation(t, "billing", api.Rotation{With: "operator"}); err != nil {
		t.Fatal(err)
	}
	if now := r.server.Secrets(app.ID); len(now) != 1 || now[0].Secret == app.Secret {
		t.Errorf("%d secrets", len(now))
	}
	if _, _, err := r.rotation(t, "operator", api.Rotation{With: "operator"}); err != nil { // its own, too
		t.Fatal(err)
	}
	r.works(t)
}

// TestRotationOfAnApplicationOfANewOrganization: its Identity Server issues tokens at
// the host's level, and is administered at the organization's alone.
func TestRotationOfAnApplicationOfANewOrganization(t *testing.T) {
	s := orchestratortest.New(orchestratortest.Options{NewOrg: true})
	t.Cleanup(s.Close)
	r := start(t, "")
	r.mustPair(t, operatorOf(s))
	app := s.AddApp("", "", "OR.Folders")
	r.mustPair(t, api.Pairing{Name: "billing", Kind: "app", URL: s.Orchestrator, ClientID: app.ID, Secret: app.Secret})
	if _, _, err := r.rotation(t, "billing", api.Rotation{With: "operator"}); err != nil {
		t.Error(err)
	}
}

// TestRotationMakesNothingThatItCannotKeep: exit 2, and the server still has
// one secret.
func TestRotationMakesNothingThatItCannotKeep(t *testing.T) {
	r := administer(t, t.TempDir(), "")
	weak := r.server.AddApp("", "", "OR.Folders")
	r.mustPair(t, api.Pairing{Name: "weak", Kind: "app", URL: r.server.Orchestrator, ClientID: weak.ID, Secret: weak.Secret})
	bounded := operatorOf(r.server)
	bounded.Name, bounded.Scopes = "bounded", []string{"OR.Folders"}
	r.mustPair(t, bounded)
	other := orchestratortest.New(orchestratortest.Options{})
	defer other.Close()
	foreign := operatorOf(other)
	foreign.Name = "foreign"
	r.mustPair(t, foreign)
	for with, says := range map[string]string{
		"weak":    "does not give weak the scope OR.Machines",
		"bounded": "does not ask for the scope OR.Machines",
		"foreign": "not at the same Orchestrator and Identity Server as invoices, and its token goes nowhere else",
	} {
		_, _, err := r.rotation(t, "invoices", api.Rotation{With: with})
		if e := failsWith(t, err, api.InvalidRequest); !strings.Contains(e.Error(), says) {
			t.Errorf("with %s: %v", with, e)
		}
	}
	_, _, err := r.rotation(t, "invoices", api.Rotation{With: "none"})
	failsWith(t, err, api.NotPaired)
	_, _, err = r.rotation(t, "invoices", api.Rotation{With: "operator", Old: "999"})
	failsWith(t, err, api.InvalidRequest)
	if n := len(r.server.Secrets(r.robot.ID)); n != 1 {
		t.Errorf("the machine has %d secrets", n)
	}
	r.works(t)
}

func TestSeveralSecretsAndNobodyKnowsWhich(t *testing.T) {
	r := administer(t, t.TempDir(), "")
	second := r.server.AddSecret(r.robot.ID, "")
	_, _, err := r.rotation(t, "invoices", api.Rotation{With: "operator"})
	if e := failsWith(t, err, api.InvalidRequest); e.Field != "old" || !strings.Contains(e.Error(), fmt.Sprint("secret ", second.SecretID)) {
		t.Errorf("got %v", e)
	}
	rotated, _, err := r.rotation(t, "invoices", api.Rotation{With: "operator", KeepOld: true})
	if err != nil || len(r.server.Secrets(r.robot.ID)) != 3 {
		t.Fatalf("%+v, %v", rotated, err)
	}
	// From now on it is known which one is in use.
	if _, _, err := r.rotation(t, "invoices", api.Rotation{With: "operator"}); err != nil {
		t.Fatal(err)
	}
	now := r.server.Secrets(r.robot.ID)
	if len(now) != 3 || now[0].SecretID != r.robot.SecretID || now[1].SecretID != second.SecretID {
		t.Errorf("there are %d secrets", len(now))
	}
	// Unless somebody gave another one meanwhile.
	if err := r.admin.SetSecret(t.Context(), "invoices", second.Secret); err != nil {
		t.Fatal(err)
	}
	_, _, err = r.rotation(t, "invoices", api.Rotation{With: "operator"})
	failsWith(t, err, api.InvalidRequest)
	if _, _, err := r.rotation(t, "invoices", api.Rotation{With: "operator", Old: fmt.Sprint(second.SecretID)}); err != nil {
		t.Fatal(err)
	}
	r.works(t)
}

// TestNewSecretThatIsLate: an Identity Server that knows a new secret only
// after a while.
func TestNewSecretThatIsLate(t *testing.T) {
	r := administer(t, t.TempDir(), "")
	r.server.DelaySecrets(2)
	if _, _, err := r.rotation(t, "invoices", api.Rotation{With: "operator"}); err != nil {
		t.Fatal(err)
	}
	r.works(t)
}

// TestRotationThatFailsCanGoOn breaks each call of a rotation once.
func TestRotationThatFailsCanGoOn(t *testing.T) {
	secrets := "/api/clientsecrets/"
	for what, c := range map[string]struct {
		path  string
		fault orchestratortest.Fault
		stray bool // a secret was made that nobody has
	}{
		"list unavailable":       {secrets, orchestratortest.Fault{Method: "GET", Status: 503}, false},
		"make refused":           {secrets, orchestratortest.Fault{Method: "POST", Status: 429, RetryAfter: "7"}, false},
		"make broken":            {secrets, orchestratortest.Fault{Method: "POST", Status: 500}, false},
		"made, and the line cut": {secrets, orchestratortest.Fault{Method: "POST", Cut: true}, true},
		"Identity unavailable":   {"/connect/token", orchestratortest.Fault{Status: 503}, false},
		"delete unavailable":     {secrets, orchestratortest.Fault{Method: "DELETE", Status: 503}, false},
		"delete, a proxy's page": {secrets, orchestratortest.Fault{Method: "DELETE", HTML: true, Status: 502}, false},
	} {
		t.Run(what, func(t *testing.T) {
			r := administer(t, t.TempDir(), "")
			r.server.Fault(c.path, c.fault)
			if _, _, err := r.rotation(t, "invoices", api.Rotation{With: "operator"}); err == nil {
				t.Fatal("the rotation is said to have worked")
			}
			r.server.Heal()
			r.works(t)
			rotated, steps, err := r.rotation(t, "invoices", api.Rotation{With: "operator"})
			if c.stray { // it cannot be told from one that somebody else made
				failsWith(t, err, api.InvalidRequest)
				rotated, steps, err = r.rotation(t, "invoices", api.Rotation{With: "operator", Old: fmt.Sprint(r.robot.SecretID)})
			}
			if err != nil {
				t.Fatalf("once more: %v after %q", err, steps)
			}
			want := 1
			if c.stray {
				want = 2
			}
			if now := r.server.Secrets(r.robot.ID); len(now) != want || fmt.Sprint(now[want-1].SecretID) != rotated.Made {
				t.Errorf("%d secrets are left, %+v, steps %q", len(now), rotated, steps)
			}
			r.works(t)
		})
	}
}

// TestRotationKilledGoesOn kills the agent after each step.
func TestRotationKilledGoesOn(t *testing.T) {
	for step := 1; step < rotationSteps; step++ {
		t.Run(fmt.Sprint(step), func(t *testing.T) {
			dir := t.TempDir()
			var server *orchestratortest.Server
			var robot orchestratortest.Client
			if in := os.Getenv(killedIn); in != "" {
				dir = in
			} else {
				server = orchestratortest.New(orchestratortest.Options{})
				defer server.Close()
				robot = server.AddMachine("", "")
				both := []api.Pairing{{Name: "invoices", Kind: "robot", URL: server.Orchestrator, ClientID: robot.ID, Secret: robot.Secret}, operatorOf(server)}
				content, err := json.Marshal(both)
				if err != nil {
					t.Fatal(err)
				}
				writeFile(t, filepath.Join(dir, "pairings.json"), string(content))
			}
			killed(t, dir, func(t *testing.T, r *running) {
				content, err := os.ReadFile(filepath.Join(dir, "pairings.json"))
				if err != nil {
					t.Fatal(err)
				}
				var both []api.Pairing
				if err := json.Unmarshal(content, &both); err != nil {
					t.Fatal(err)
				}
				r.mustPair(t, both[0])
				r.mustPair(t, both[1])
				reached := make(chan struct{})
				go func() {
					_, err := r.Agent.rotate(t.Context(), peer.Caller{Known: true, UID: uint32(os.Getuid())}, "invoices", api.Rotation{With: "operator"}, func(s api.Step) {
						if s.Number == step {
							close(reached)
							select {}
						}
					})
					t.Errorf("the rotation ended: %v", err)
				}()
				<-reached
			})
			r := administered{startIn(t, dir, ""), server, robot}
			r.works(t)
			rotated, steps, err := r.rotation(t, "invoices", api.Rotation{With: "operator"})
			if err != nil {
				t.Fatalf("once more: %v after %q", err, steps)
			}
			if now := server.Secrets(robot.ID); len(now) != 1 || fmt.Sprint(now[0].SecretID) != rotated.Made || now[0].Secret == robot.Secret {
				t.Errorf("%d secrets are left, %+v", len(now), rotated)
			}
			r.works(t)
			r.holdsNo(t, []string{robot.Secret, server.Secrets(robot.ID)[0].Secret})
			eventually(t, "sweep", func() bool { return r.entries(t) == 2 })
		})
	}
}

// load has callers ask for tokens and use them without pause, while the cache is
// emptied again and again so that there are always grants under way, until stop
// tells how often they did. A call that fails fails the test.
func load(t *testing.T, r *running, callers int, use func(api.Token) error) (stop func() int64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var calls atomic.Int64
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for ctx.Err() == nil {
				token, err := r.Token(t.Context(), api.TokenRequest{Profile: "invoices"})
				if err == nil {
					err = use(token)
				}
				if err != nil {
					t.Errorf("a call failed: %v", err)
					return
				}
				calls.Add(1)
			}
		})
	}
	all.Go(func() {
		for ctx.Err() == nil {
			r.Agent.broker.sessions.Forget("invoices")
			time.Sleep(5 * time.Millisecond)
		}
	})
	return func() int64 {
		cancel()
		all.Wait()
		return calls.Load()
	}
}

// TestTwentyRotationsLoseNoCall rotates while 32 callers ask for tokens and use
// them.
func TestTwentyRotationsLoseNoCall(t *testing.T) {
	r := administer(t, t.TempDir(), "")
	before := r.server.TokenRequestsOf(r.robot.ID)
	stop := load(t, r.running, 32, func(token api.Token) error { return call(r.server.Orchestrator, token) })
	for i := range 20 {
		if _, steps, err := r.rotation(t, "invoices", api.Rotation{With: "operator"}); err != nil {
			t.Errorf("rotation %d: %v after %q", i, err, steps)
			break
		}
		asked := r.server.TokenRequestsOf(r.robot.ID)
		eventually(t, "tokens with the new secret", func() bool { return r.server.TokenRequestsOf(r.robot.ID) > asked+2 })
	}
	calls := stop()
	if now := r.server.Secrets(r.robot.ID); len(now) != 1 {
		t.Errorf("%d secrets are left", len(now))
	}
	t.Logf("%d calls, %d token requests, 20 rotations", calls, r.server.TokenRequestsOf(r.robot.ID)-before)
}

// TestTwentySecretsByHandLoseNoCall does the same on ory/fosite, whose rotated
// secrets others wrote: a person adds a secret, gives it to the agent, and then
// removes the old one.
func TestTwentySecretsByHandLoseNoCall(t *testing.T) {
	s := providertest.Fosite(t)
	r := start(t, "")
	r.mustPair(t, robotOf(s))
	stop := load(t, r, 32, func(api.Token) error { return nil })
	old := s.Secret
	for i := range 20 {
		next := fmt.Sprintf("next-secret-%d-!&%%+", i)
		s.AddSecret(next)
		if err := r.admin.SetSecret(t.Context(), "invoices", next); err != nil {
			t.Errorf("secret %d: %v", i, err)
			break
		}
		s.RemoveSecret(old)
		old = next
		asked := s.TokenRequests()
		eventually(t, "tokens with the new secret", func() bool { return s.TokenRequests() > asked+2 })
	}
	t.Logf("%d calls, 20 secrets", stop())
}
