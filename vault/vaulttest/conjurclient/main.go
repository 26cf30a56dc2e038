// Command conjurclient is CyberArk's own Go client for Conjur, as a second opinion
// on the fake of package vaulttest and on the store that is tested against it. It
// reads one order as JSON from standard input and writes what came of it.
package main

import (
	"encoding/json"
	"errors"
	"log"
	"os"

	"github.com/cyberark/conjur-api-go/conjurapi"
	"github.com/cyberark/conjur-api-go/conjurapi/authn"
	"github.com/cyberark/conjur-api-go/conjurapi/response"
)

type order struct {
	URL, Account, CA string
	Login, Key       string // API key, or
	Service, JWT     string // JWT
	Set              map[string]string
	Get              []string
}

type outcome struct {
	Values map[string]string // by variable: what was read
	Status map[string]int    // by variable: what the server said instead, or -1
}

func main() {
	var o order
	if err := json.NewDecoder(os.Stdin).Decode(&o); err != nil {
		log.Fatal(err)
	}
	client, err := o.client()
	if err != nil {
		log.Fatal(err)
	}
	done := outcome{map[string]string{}, map[string]int{}}
	for id, value := range o.Set {
		done.note(id, client.AddSecret(id, value))
	}
	for _, id := range o.Get {
		value, err := client.RetrieveSecret(id)
		done.note(id, err)
		done.Values[id] = string(value)
	}
	if err := json.NewEncoder(os.Stdout).Encode(done); err != nil {
		log.Fatal(err)
	}
}

func (o order) client() (*conjurapi.Client, error) {
	config := conjurapi.Config{
		Account: o.Account, ApplianceURL: o.URL, SSLCert: o.CA,
		CredentialStorage: conjurapi.CredentialStorageNone, Environment: conjurapi.EnvironmentSH,
	}
	if o.Service == "" {
		return conjurapi.NewClientFromKey(config, authn.LoginPair{Login: o.Login, APIKey: o.Key})
	}
	config.AuthnType, config.ServiceID, config.JWTContent, config.JWTHostID = "jwt", o.Service, o.JWT, o.Login
	return conjurapi.NewClientFromJwt(config)
}

func (d outcome) note(id string, err error) {
	if err == nil {
		return
	}
	d.Status[id] = -1
	if said, ok := errors.AsType[*response.ConjurError](err); ok {
		d.Status[id] = said.Code
	}
}
