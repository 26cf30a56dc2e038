package vault

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"keytender/vault/vaulttest"
)

// azureChild is set in the processes that tests of Azure begin for themselves.
const azureChild = "KEYTENDER_TEST_AZURE"

// runAzureChild runs the test again in a process of its own and wants it to end
// well, with the line that it prints last, and silent on standard error.
func runAzureChild(t *testing.T, cmd *exec.Cmd, line string) {
	t.Helper()
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil || !strings.HasPrefix(out.String(), line+"\n") || said.Len() != 0 {
		t.Errorf("%v\n%s%s", err, out.String(), said.String())
	}
}

// TestAzurePublicCloud: under the names of the public cloud, in an environment
// that says everything else. It is a process of its own, for net/http and the
// vendor's libraries read the environment once.
func TestAzurePublicCloud(t *testing.T) {
	if os.Getenv(azureChild) != "" {
		azurePublicCloud(t)
		return
	}
	hostile := []string{
		azureChild + "=1", "HTTPS_PROXY=", "https_proxy=", "HTTP_PROXY=", "http_proxy=", "NO_PROXY=", "no_proxy=",
		"AZURE_AUTHORITY_HOST=https://evil.example", "AZURE_TENANT_ID=evil", "AZURE_CLIENT_ID=evil", "AZURE_CLIENT_SECRET=evil",
		"AZURE_CLIENT_CERTIFICATE_PATH=/evil.pem", "AZURE_FEDERATED_TOKEN_FILE=/evil", "AZURE_ADDITIONALLY_ALLOWED_TENANTS=*",
		"AZURE_TOKEN_CREDENTIALS=evil", "AZURE_USERNAME=evil", "AZURE_PASSWORD=evil", "AZURE_KUBERNETES_TOKEN_PROXY=https://evil.example",
		"IDENTITY_ENDPOINT=https://evil.example", "IDENTITY_HEADER=evil", "MSI_ENDPOINT=https://evil.example",
		"AZURE_SDK_GO_LOGGING=all", "REGION_NAME=evil",
	}
	for _, region := range [][]string{
		{"AZURE_REGIONAL_AUTHORITY_NAME=evil", "MSAL_FORCE_REGION="},
		{"AZURE_REGIONAL_AUTHORITY_NAME=not a region", "MSAL_FORCE_REGION=evil"},
		{"AZURE_REGIONAL_AUTHORITY_NAME=TryAutoDetect", "MSAL_FORCE_REGION="},
		{"AZURE_REGIONAL_AUTHORITY_NAME=", "MSAL_FORCE_REGION=evil"},
	} {
		t.Run(strings.Join(region, " "), func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAzurePublicCloud$")
			cmd.Env = slices.Concat(os.Environ(), hostile, region)
			runAzureChild(t, cmd, "logged in to the public cloud, 3 times")
		})
	}
}

func azurePublicCloud(t *testing.T) {
	k := vaulttest.FakeKeyVault(t)
	public := k.Public(t)
	for _, name := range []string{"HTTPS_PROXY", "HTTP_PROXY"} {
		t.Setenv(name, public.Proxy)
	}
	k.Set("bot", canary)
	k.Entra.Federate("token-of-kubernetes")
	certificate := k.Entra.Certificate(t, vaulttest.Of{RSA: 2048})
	for method, credential := range map[string]string{
		"client_secret": k.Entra.Secret, "client_certificate": certificate.Key + certificate.Chain, "workload_identity": "",
	} {
		p := azurePlace(k)
		p.config.URL, p.config.CA = "azure://contoso", []string{k.CAFile}
		p.config.Login.Method, p.config.Login.Authority = method, ""
		if method == "workload_identity" {
			p.config.Login.TokenFile = azureFile(t, "token-of-kubernetes")
		}
		p.options.Bootstrap = azureHeld(credential)
		wantAzureLogin(t, p)
	}
	asked := slices.Compact(slices.Sorted(slices.Values(public.Asked())))
	if want := []string{vaulttest.PublicVault + ":443", vaulttest.PublicEntra + ":443"}; !slices.Equal(asked, want) {
		t.Errorf("asked: %v, want %v", asked, want)
	}
	if !t.Failed() {
		fmt.Printf("logged in to the public cloud, %d times\n", k.Entra.Logins())
	}
}
