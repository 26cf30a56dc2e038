// Package orchestratortest runs an Orchestrator together with its Identity
// Server in one process, in the manner of net/http/httptest. It needs neither a
// network nor package testing, so that tests, benchmarks and `keytender demo`
// share it.
//
// The layout is that of an Automation Suite:
//
//	{Origin}/identity_/…                          discovery, JWKS, token endpoint
//	{Origin}/[{org}/]identity_/api/…              external applications and their secrets
//	{Origin}/{org}/{tenant}/orchestrator_/…       folders, status, current user, machines' secrets
//	{Origin}/orchestrator_/api/status/version     the anonymous probe
//
// A request runs through the clock and the faults before it meets a handler:
//
//	request ─► count ─► [Server.Fault] ─► identity_ or orchestrator_ ─► [Fault.Edit] ─► answer
//
// What it promises is the wire behaviour that Keytender's PROTOCOL paper marks
// as seen or documented. It is a simulation for tests, not a reference: what the
// vendor's servers do where they are silent is not to be learned here.
//
// Of the administration of secrets this is
//
//   - seen in the vendor's public sources: the routes of machine objects and the
//     names in their answers; GET and DELETE of an application; ids that are
//     64-bit numbers; a new organization's InvalidPartition, with 400, at the
//     host's level.
//   - documented (API guide of Automation Suite 2.2510, "External client"): the
//     order and the answer of GenerateSecret, with 200; the secrets in the answer
//     to GET; DELETE of a secret, with 204; the scopes of each. One page of that
//     guide calls the GET "Generate a new secret" and has it answer a string: the
//     vendor's own client reads the application there, and so does this server.
//   - inferred: that a machine's POST answers 201; that an order without
//     expiryTime makes a secret that does not expire; what the bodies of 400, 401,
//     403 and 404 look like; that an expired secret is invalid_client; that a
//     secret can be late, and for how long.
package orchestratortest
