// Package api is everything that the agent, its command line, its tray and
// robots written in Go agree on: the JSON messages of the doors, their error
// codes, the addresses of the sockets, and a client for each door.
//
// A robot needs three lines and no configuration:
//
//	var client api.Client
//	token, err := client.Token(ctx, api.TokenRequest{Profile: "invoices"})
//	if err != nil { … }
//
// The package imports nothing but the standard library. Messages that carry a
// secret or a token print as "[secret]" whatever the format verb.
package api
