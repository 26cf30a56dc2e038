// Package orchestratortest runs an Orchestrator together with its Identity
// Server in one process, in the manner of net/http/httptest. It needs neither a
// network nor package testing, so that tests, benchmarks and `keytender demo`
// share it.
//
// The layout is that of an Automation Suite:
//
//	{Origin}/identity_/…                          discovery, JWKS, token endpoint
//	{Origin}/{org}/{tenant}/orchestrator_/…       folders, status, current user, client secrets
//	{Origin}/orchestrator_/api/status/version     the anonymous probe
//
// A request runs through the clock and the faults before it meets a handler:
//
//	request ─► count ─► [Server.Fault] ─► identity_ or orchestrator_ ─► [Fault.Edit] ─► answer
//
// What it promises is the wire behaviour that Keytender's PROTOCOL paper marks
// as seen or documented. It is a simulation for tests, not a reference: what the
// vendor's servers do where they are silent is not to be learned here.
package orchestratortest
