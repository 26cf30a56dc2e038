package api

import "net/http"

// Code is a stable word for why a request failed; programs decide by it.
// Where OAuth has a word for the case (RFC 6749 section 5.2, OpenID Connect
// Core section 3.1.2.6), it is that word.
type Code string

// The codes of both doors.
const (
	InvalidRequest      Code = "invalid_request"
	InvalidClient       Code = "invalid_client" // a local app token that is not known
	InvalidScope        Code = "invalid_scope"
	AccessDenied        Code = "access_denied"
	BadHost             Code = "bad_host"
	BadOrigin           Code = "bad_origin"
	MissingHeader       Code = "missing_header"
	NotFound            Code = "not_found"
	NotPaired           Code = "not_paired"
	AlreadyPaired       Code = "already_paired" // with other values, and no "replace"
	InteractionRequired Code = "interaction_required"
	Locked              Code = "locked"
	SlowDown            Code = "slow_down"
	ProviderRefused     Code = "provider_refused"
	ProviderBroken      Code = "provider_broken"
	ProviderUnavailable Code = "provider_unavailable"
	StoreUnavailable    Code = "store_unavailable"
	AuditUnavailable    Code = "audit_unavailable"
	Unavailable         Code = "unavailable" // nobody answers at the door
	ServerError         Code = "server_error"
)

// Exit statuses of the command line.
const (
	ExitDone         = 0
	ExitFailed       = 1
	ExitUsage        = 2
	ExitNotPaired    = 3
	ExitRefused      = 4
	ExitPersonNeeded = 5
	ExitUnavailable  = 6
)

// HTTPStatus is the status with which a door answers c.
// An Identity Server's own 401 is never passed on as 401.
func (c Code) HTTPStatus() int {
	status, _ := c.meaning()
	return status
}

// Exit is the exit status with which a command ends that met c.
func (c Code) Exit() int {
	_, exit := c.meaning()
	return exit
}

func (c Code) meaning() (status, exit int) {
	switch c {
	case InvalidRequest:
		return http.StatusBadRequest, ExitUsage
	case InvalidScope:
		return http.StatusBadRequest, ExitRefused
	case InvalidClient:
		return http.StatusUnauthorized, ExitRefused
	case AccessDenied, BadHost, BadOrigin, MissingHeader:
		return http.StatusForbidden, ExitRefused
	case NotFound:
		return http.StatusNotFound, ExitUsage
	case NotPaired:
		return http.StatusNotFound, ExitNotPaired
	case AlreadyPaired:
		return http.StatusConflict, ExitFailed
	case InteractionRequired:
		return http.StatusConflict, ExitPersonNeeded
	case Locked:
		return http.StatusLocked, ExitPersonNeeded
	case SlowDown:
		return http.StatusTooManyRequests, ExitUnavailable
	case ProviderRefused, ProviderBroken:
		return http.StatusBadGateway, ExitFailed
	case ProviderUnavailable, StoreUnavailable, AuditUnavailable, Unavailable:
		return http.StatusServiceUnavailable, ExitUnavailable
	default:
		return http.StatusInternalServerError, ExitFailed
	}
}
