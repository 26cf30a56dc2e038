package orchestratortest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"keytender/agent/orchestratortest"
)

// A robot gets a token and reads folders; then the server is busy.
func Example() {
	srv := orchestratortest.New(orchestratortest.Options{})
	defer srv.Close()
	robot := srv.AddMachine("", "")

	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {robot.ID}, "client_secret": {robot.Secret}}
	answer, err := http.PostForm(srv.Identity+"/connect/token", form)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer answer.Body.Close()
	var token struct {
		Access string `json:"access_token"`
		Scope  string `json:"scope"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&token); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("scope:", token.Scope)

	request, _ := http.NewRequest("GET", srv.Orchestrator+"/odata/Folders?$top=1", nil)
	request.Header.Set("Authorization", "Bearer "+token.Access)
	for range 2 {
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			fmt.Println(err)
			return
		}
		answer.Body.Close()
		fmt.Println("folders:", answer.Status)
		srv.Fault("/odata/Folders", orchestratortest.Fault{Status: http.StatusTooManyRequests, RetryAfter: "7"})
	}
	// Output:
	// scope: OrchestratorApiUserAccess
	// folders: 200 OK
	// folders: 429 Too Many Requests
}
